package decider

import "math"

// vote is what one source with usable data asks for.
type vote struct {
	source  *Source
	windows *SourceWindows
	stable  float64 // pods for the stable window's load, a whole number
	panic   float64 // likewise for the panic window; 0 when that one is not usable
	ratio   float64 // load over target on the ready pods
	doubt   absence // why the source may not lower the count; Case is empty when it may
}

// need proposes what the sources ask for: the highest of their stable needs and, in panic, of their panic needs. Those that
// have no usable data are named.
func (d *draft) need() {
	win, pods, kind := &d.votes[0], math.Inf(-1), CaseStable
	for i := range d.votes {
		v := &d.votes[i]
		if v.stable > pods {
			win, pods, kind = v, v.stable, CaseStable
		}
		if d.panic.on() && v.panic > pods {
			win, pods, kind = v, v.panic, CasePanic
		}
	}
	r := Reason{
		Rule: RuleNeed, Case: kind, To: count(pods), Source: win.source.Name, Window: shown(win.window(kind)),
		Target: win.source.Target, TargetType: win.source.TargetType,
	}
	if r.To == d.proposal {
		r.Rule = RuleSteady
	}
	if d.panic.on() {
		r.Until = d.panic.since.Add(d.policy.ObserveWindow) // when only the stable windows count again
	}
	for _, a := range d.absences {
		r.Sources = int32(len(d.policy.Sources))
		r.Absent = append(r.Absent, Absence{Source: a.source.Name, Case: a.reason, Age: a.window.NewestAge, Detail: a.detail})
	}
	d.add(r)
}

func (v *vote) window(kind Case) *Window {
	if kind == CasePanic {
		return &v.windows.Panic
	}
	return &v.windows.Stable
}

// load is the fleet's load in the window, in units of the source. A Value source is an average or a maximum over
// pods, so it is taken times the mean of ready pods, of which there is at least the one that it would wake.
func load(s *Source, w *Window) float64 {
	if s.TargetType == Value {
		return w.Value * math.Max(1, w.MeanReady)
	}
	return w.Value
}

// pods is ceil(load/target). The load is rounded to six decimals first, as Knative's windows are, so that what
// adding and averaging leaves behind (4e-7 requests) doesn't ask for a pod.
func pods(load, target float64) float64 { return math.Max(0, math.Ceil(round6(load)/target)) }

// ratio is the load over what the ready pods are there for.
func ratio(s *Source, w *Window, ready int32) float64 {
	r := w.Value / s.Target
	if s.TargetType != Value {
		r /= float64(ready)
	}
	return writable(r)
}

// writable is a quotient as a Reason holds it: JSON knows no infinity.
func writable(x float64) float64 { return math.Max(-math.MaxFloat64, math.Min(x, math.MaxFloat64)) }

// round6 rounds half away from zero to six decimals. Where x*1e6 would overflow there are none left to round.
func round6(x float64) float64 {
	if math.Abs(x) > math.MaxFloat64/1e6 {
		return x
	}
	return math.Round(x*1e6) / 1e6
}
