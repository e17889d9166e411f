package store

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"
)

// suiteStorage reads through the Store. It writes past Append, because the suite brings its own timestamps, and
// native histograms and exemplars, which the Store never takes.
type suiteStorage struct {
	*tsdb.DB
	store *Store
}

func (s suiteStorage) Querier(mint, maxt int64) (storage.Querier, error) {
	return s.store.Querier(mint, maxt)
}
func (s suiteStorage) Close() error { return s.store.Close() }

// Prometheus's own PromQL suite, 11,610 instant queries, answers the same over our store as over theirs.
func TestPromQLBuiltinSuite(t *testing.T) {
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	promqltest.RunBuiltinTestsWithStorage(t, engine, func(tb testing.TB) storage.Storage {
		opts := tsdb.DefaultOptions()
		// The suite loads each series from start to end in turn, so the head must take a day at once.
		opts.MinBlockDuration = (24 * time.Hour).Milliseconds()
		opts.MaxBlockDuration = opts.MinBlockDuration
		opts.EnableExemplarStorage = true
		opts.MaxExemplars = 100_000
		s, err := open(Options{Dir: tb.TempDir()}, opts)
		require.NoError(tb, err)
		tb.Cleanup(func() { _ = s.Close() }) // the suite closes it too; the second close may fail
		return suiteStorage{DB: s.db, store: s}
	})
}
