package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Record is one opaque entry of the journal. Two records of the same kind and key never share a time: the later
// one replaces the earlier.
type Record struct {
	Kind string // what sort of record; few
	Key  string // whose; no zero bytes
	At   time.Time
	Data []byte
}

// Journal keeps records by kind, key and time in one file. Every Append is on disk when it returns; appends from
// several goroutines share a transaction.
type Journal struct{ db *bolt.DB }

const (
	// lockWait is how long Open waits for another process to let go of the file: a restart may overlap its
	// predecessor's last moments.
	lockWait = 2 * time.Second
	// batchDelay is how long an append waits for company. A sync of the file takes 1 to 10 ms; 1 ms more is not
	// felt at a tick of 2 s.
	batchDelay = time.Millisecond
	timeBytes  = 8

	journalFile = "journal.db" // in the store's directory
)

func openJournal(path string) (*Journal, error) {
	db, err := bolt.Open(path, 0o644, &bolt.Options{Timeout: lockWait, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return nil, fmt.Errorf("journal: %w (is another flyball using the directory?)", err)
	}
	db.MaxBatchDelay = batchDelay
	return &Journal{db: db}, nil
}

func (j *Journal) close() error { return j.db.Close() }

// ErrInUse says that a running process has the store open.
var ErrInUse = errors.New("a running process has it open")

// ReadJournal lets fn read the journal of a store that no process has open, and changes nothing on disk. The journal
// is good only during the call.
func ReadJournal(dir string, fn func(*Journal) error) error {
	path := filepath.Join(dir, journalFile)
	db, err := bolt.Open(path, 0, &bolt.Options{Timeout: lockWait, ReadOnly: true})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("read journal %s: %w", path, ErrInUse)
	case err != nil:
		return fmt.Errorf("read journal %s: %w", path, err)
	}
	return errors.Join(fn(&Journal{db: db}), db.Close())
}

// Append stores the records in one transaction: all or none.
func (j *Journal) Append(recs ...Record) error {
	err := j.db.Batch(func(tx *bolt.Tx) error {
		for _, r := range recs {
			b, err := tx.CreateBucketIfNotExists([]byte(r.Kind))
			if err != nil {
				return fmt.Errorf("kind %q: %w", r.Kind, err)
			}
			if err := b.Put(recordKey(r.Key, r.At), r.Data); err != nil {
				return fmt.Errorf("kind %q key %q: %w", r.Kind, r.Key, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// Range calls fn for each record of the kind and key stamped in (from, to], oldest first. The record's Data is
// valid only during the call.
func (j *Journal) Range(kind, key string, from, to time.Time, fn func(Record) error) error {
	return j.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(kind))
		if b == nil {
			return nil
		}
		lo, hi := recordKey(key, from.Add(time.Nanosecond)), recordKey(key, to)
		c := b.Cursor()
		for k, v := c.Seek(lo); k != nil && bytes.Compare(k, hi) <= 0; k, v = c.Next() {
			if err := fn(Record{Kind: kind, Key: key, At: keyTime(k), Data: v}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Last gives the newest record of the kind and key stamped at or before t, and whether there is one.
func (j *Journal) Last(kind, key string, t time.Time) (Record, bool, error) {
	var rec Record
	var found bool
	err := j.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(kind))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		step := c.Prev
		if after, _ := c.Seek(recordKey(key, t.Add(time.Nanosecond))); after == nil {
			step = c.Last
		}
		k, v := step()
		if k == nil || string(keyName(k)) != key {
			return nil
		}
		rec, found = Record{Kind: kind, Key: key, At: keyTime(k), Data: bytes.Clone(v)}, true
		return nil
	})
	return rec, found, err
}

// Keys lists whose records of the kind there are, in order. It costs a seek per key.
func (j *Journal) Keys(kind string) ([]string, error) {
	var keys []string
	err := j.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(kind))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, _ := c.First(); k != nil; {
			key := keyName(k)
			keys = append(keys, string(key))
			k, _ = c.Seek(append(key, 1)) // behind the key's last record, which follows a zero byte
		}
		return nil
	})
	return keys, err
}

// prune drops the records of each kind stamped before cutoff(kind); of each key it spares the newest, until that is
// older than the floor. It costs what it drops, plus a seek per key.
func (j *Journal) prune(cutoff func(kind string) time.Time, floor time.Time) error {
	return j.db.Update(func(tx *bolt.Tx) error {
		return tx.ForEach(func(kind []byte, b *bolt.Bucket) error {
			before := cutoff(string(kind))
			c := b.Cursor()
			for k, _ := c.First(); k != nil; {
				key, old := keyName(k), bytes.Clone(k)
				if !keyTime(k).Before(before) {
					k, _ = c.Seek(append(key, 1)) // behind the key's last record, which follows a zero byte
					continue
				}
				next, _ := c.Next()
				if newest := next == nil || !bytes.Equal(keyName(next), key); newest && !keyTime(old).Before(floor) {
					k = next
					continue
				}
				if err := b.Delete(old); err != nil {
					return fmt.Errorf("kind %q: %w", kind, err)
				}
				k, _ = c.Seek(old)
			}
			return nil
		})
	})
}

// recordKey sorts by key, then by time: key, a zero byte, nanoseconds since 1970 in big-endian order. Times before
// 1970, the zero time among them, count as 1970.
func recordKey(key string, t time.Time) []byte {
	b := append(make([]byte, 0, len(key)+1+timeBytes), key...)
	return binary.BigEndian.AppendUint64(append(b, 0), uint64(max(0, t.UnixNano())))
}

// keyName is a copy of the record's key without its time.
func keyName(k []byte) []byte { return bytes.Clone(k[:len(k)-timeBytes-1]) }

func keyTime(k []byte) time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(k[len(k)-timeBytes:]))).UTC()
}
