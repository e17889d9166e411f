package loop

import (
	"sync"
	"time"
)

// sequence numbers what is recorded in full: later is higher, over restarts too. It is in microseconds since 1970, and
// one more than the last where that would not be higher.
type sequence struct {
	mu   sync.Mutex
	last uint64
	open map[uint64]bool // given out, and not published yet
}

// next gives out a number for a decision of time t.
func (s *sequence) next(t time.Time) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last+1, uint64(max(0, t.UnixMicro())))
	s.open[s.last] = true
	return s.last
}

// settled is the highest number up to which everything but n itself has been published.
func (s *sequence) settled(n uint64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := s.last
	for other := range s.open {
		if other != n {
			to = min(to, other-1)
		}
	}
	return to
}

// done says that n was published.
func (s *sequence) done(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, n)
}
