package keda

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// recently is for how long it counts that KEDA asked: four times its polling interval.
const recently = 2 * time.Minute

// mostAsking bounds the memory: names come from outside.
const mostAsking = 10_000

// Asking is a ScaledObject that asks for an autoscaler of its namespace.
type Asking struct{ Namespace, ScaledObject, Autoscaler string }

// memory is when each asked last.
type memory struct {
	mu   sync.Mutex
	last map[Asking]time.Time
}

// note remembers that it asked, and says whether that is new.
func (m *memory) note(a Asking, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, known := m.last[a]
	if !known && len(m.last) >= mostAsking {
		m.forget(now)
		if len(m.last) >= mostAsking {
			return false
		}
	}
	m.last[a] = now
	return !known || now.Sub(before) > recently
}

func (m *memory) forget(now time.Time) {
	for a, at := range m.last {
		if now.Sub(at) > recently {
			delete(m.last, a)
		}
	}
}

// Asking lists the ScaledObjects that asked within the last two minutes, in order of namespace, autoscaler and name.
func (s *Scaler) Asking() []Asking {
	m := &s.asked
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(s.Now())
	all := make([]Asking, 0, len(m.last))
	for a := range m.last {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b Asking) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Autoscaler, b.Autoscaler), cmp.Compare(a.ScaledObject, b.ScaledObject))
	})
	return all
}
