package decider

import "time"

// panicMemory is what a panic needs to know of the decisions before it.
type panicMemory struct {
	since time.Time // when the threshold was last reached; zero when not in panic
	max   int32     // the highest count proposed since
	how   Case
	pods  float64 // what the panic windows ask for now, before any limit
	by    *vote   // whose panic window that is
}

func (m panicMemory) on() bool { return !m.since.IsZero() }

// recallPanic reads the panic from history. Having no history at all counts as panic if there is more than one ready
// pod, so that a restart never shrinks a fleet for one stable window.
func (d *draft) recallPanic() panicMemory {
	if d.policy.Strategy != KPA {
		return panicMemory{}
	}
	if len(d.past) > 0 {
		last := d.past.newest()
		return panicMemory{since: last.PanicSince, max: last.PanicMax, how: CaseHold}
	}
	if d.in.Ready > 1 {
		return panicMemory{since: d.in.At, max: d.in.Ready, how: CaseStart}
	}
	return panicMemory{}
}

// panicTest enters, extends or leaves panic. It is entered when the panic windows ask for threshold times the ready
// pods, and left when that was last so more than one stable window ago. Without any data it is not asked at all.
func (d *draft) panicTest() {
	m := &d.panic
	for i := range d.votes {
		if v := &d.votes[i]; v.panic > m.pods {
			m.pods, m.by = v.panic, v
		}
	}
	switch {
	case m.by != nil && m.pods/float64(d.ready()) >= d.policy.PanicThreshold:
		if m.how = CaseHold; !m.on() {
			m.how = CaseEnter
		}
		m.since = d.in.At
	case m.on() && m.since.Add(d.policy.ObserveWindow).Before(d.in.At):
		*m = panicMemory{}
	}
}

// panicHold never goes below the highest count proposed during the panic.
func (d *draft) panicHold() {
	m := &d.panic
	if !m.on() {
		return
	}
	m.max = max(m.max, d.proposal)
	if m.max == d.proposal && m.how != CaseEnter {
		return
	}
	r := Reason{
		Rule: RulePanic, Case: m.how, To: m.max, Limit: d.policy.PanicThreshold, Ready: d.ready(),
		Delay: d.policy.ObserveWindow, Since: m.since, Until: m.since.Add(d.policy.ObserveWindow),
	}
	if m.how == CaseEnter {
		r.Source, r.Target, r.TargetType = m.by.source.Name, m.by.source.Target, m.by.source.TargetType
		r.Window = shown(&m.by.windows.Panic)
		r.Ratio = writable(m.pods / float64(d.ready()))
	}
	d.add(r)
}
