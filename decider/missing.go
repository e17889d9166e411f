package decider

// MinCoverage is the least coverage of a window that may lower the count. It leaves room for one scrape in twenty
// that came late, not for a pod that stopped answering.
const MinCoverage = 0.95

// absence is a source without usable data, or with data that are not whole, and why.
type absence struct {
	source *Source
	reason Case
	window *Window
	detail string
}

// hear sorts the sources: those with usable data vote, of the others the absence is noted.
func (d *draft) hear() {
	p := &d.policy
	d.votes = make([]vote, 0, len(p.Sources))
	for i := range p.Sources {
		s := &p.Sources[i]
		ws := windowsOf(s, d.in.Windows)
		why := unusable(s, &ws.Stable)
		if ws.Error != "" {
			why = CaseError
		}
		if why != "" {
			d.absences = append(d.absences, absence{s, why, &ws.Stable, ws.Error})
			continue
		}
		v := vote{source: s, windows: ws, stable: pods(load(s, &ws.Stable), s.Target), ratio: ratio(s, &ws.Stable, d.ready())}
		if p.Strategy == KPA && unusable(s, &ws.Panic) == "" {
			v.panic = pods(load(s, &ws.Panic), s.Target)
		}
		if !p.Strict {
			v.doubt = v.doubts(p.Strategy)
		}
		d.votes = append(d.votes, v)
	}
	d.known = len(d.votes) > 0
}

func windowsOf(s *Source, all []SourceWindows) *SourceWindows {
	for i := range all {
		if all[i].Key == s.Key {
			return &all[i]
		}
	}
	return &SourceWindows{Key: s.Key, Error: "its windows were not evaluated"}
}

// unusable says why a window proposes nothing; empty when it may.
func unusable(s *Source, w *Window) Case {
	switch {
	case w.State == NoPods:
		return CaseNoPods
	case w.State == Stale:
		return CaseStale
	case w.State != Fresh:
		return CaseMissing
	case !finite(load(s, w)):
		return CaseNotNumber
	}
	return ""
}

// doubts says why a vote may raise the count but not lower it.
func (v *vote) doubts(strategy Strategy) absence {
	why, w := v.windows.Stable.doubt(v.source), &v.windows.Stable
	if why == "" && strategy == KPA {
		why, w = v.windows.Panic.doubt(v.source), &v.windows.Panic
	}
	return absence{source: v.source, reason: why, window: w}
}

// doubt says what is missing from the window; empty when nothing is.
func (w *Window) doubt(s *Source) Case {
	switch why := unusable(s, w); {
	case why != "":
		return why
	case w.Silent > 0:
		return CaseSilent
	case !(w.Coverage >= MinCoverage): // a NaN is no coverage
		return CaseCoverage
	}
	return ""
}

// missing holds when no source has usable data, and says of each what is wrong with it.
func (d *draft) missing() {
	for _, a := range d.absences {
		d.add(d.absent(RuleNoData, a))
	}
	if len(d.absences) == 0 {
		d.add(Reason{Rule: RuleNoData, Case: CaseNoSource, To: d.proposal})
	}
}

// incomplete vetoes a fall that was proposed without all of the data.
func (d *draft) incomplete() {
	gaps := d.gaps()
	if len(gaps) == 0 || d.proposal >= d.in.Replicas {
		return
	}
	d.known = false
	for _, a := range gaps {
		d.add(d.absent(RuleIncomplete, a))
	}
}

// gaps is everything that is missing: whole sources, and parts of windows.
func (d *draft) gaps() []absence {
	gaps := d.absences[:len(d.absences):len(d.absences)]
	for i := range d.votes {
		if v := &d.votes[i]; v.doubt.reason != "" {
			gaps = append(gaps, v.doubt)
		}
	}
	return gaps
}

func (d *draft) absent(r Rule, a absence) Reason {
	out := Reason{
		Rule: r, Case: a.reason, To: d.in.Replicas, Source: a.source.Name, Window: shown(a.window), Detail: a.detail,
		Ready: d.in.Ready, Starting: d.in.Starting,
	}
	switch a.reason {
	case CaseStale, CaseMissing:
		out.Since = seen(d.in.At, a.window.NewestAge)
	case CaseSilent:
		out.Since = seen(d.in.At, a.window.SilentFor)
	case CaseCoverage:
		out.Limit = MinCoverage
	case CaseError:
		out.Window = nil
	}
	return out
}

// shown is a copy of w for a Reason, without values that are no numbers.
func shown(w *Window) *Window {
	out := *w
	for _, x := range []*float64{&out.Value, &out.Coverage, &out.MeanReady} {
		if !finite(*x) {
			*x = 0
		}
	}
	return &out
}
