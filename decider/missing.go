package decider

// minCoverage is the least coverage of a window that may lower the count. It leaves room for one scrape in twenty
// that came late, not for a pod that stopped answering.
const minCoverage = 0.95

// absence is a source without usable data, or with data that are not whole, and why.
type absence struct {
	source Source
	reason Case
	window Window
	detail string
}

// hear sorts the sources: those with usable data vote, of the others the absence is noted.
func hear(p Policy, in Input) (votes []vote, absences []absence) {
	for _, s := range p.Sources {
		ws := windowsOf(s, in.Windows)
		stable := ws.Stable
		if why := unusable(s, stable); ws.Error != "" || why != "" {
			if ws.Error != "" {
				why = CaseError
			}
			absences = append(absences, absence{s, why, stable, ws.Error})
			continue
		}
		v := vote{source: s, windows: ws, stable: pods(load(s, stable), s.Target), ratio: ratio(s, stable, max(1, in.Ready))}
		if p.Strategy == KPA && unusable(s, ws.Panic) == "" {
			v.panic = pods(load(s, ws.Panic), s.Target)
		}
		if !p.Strict {
			v.doubt = doubt(p, v)
		}
		votes = append(votes, v)
	}
	return votes, absences
}

func windowsOf(s Source, all []SourceWindows) SourceWindows {
	for _, w := range all {
		if w.Key == s.Key {
			return w
		}
	}
	return SourceWindows{Key: s.Key, Error: "its windows were not evaluated"}
}

// unusable says why a window proposes nothing; empty when it may.
func unusable(s Source, w Window) Case {
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

// doubt says why a vote may raise the count but not lower it.
func doubt(p Policy, v vote) absence {
	windows := []Window{v.windows.Stable}
	if p.Strategy == KPA {
		windows = append(windows, v.windows.Panic)
	}
	for _, w := range windows {
		why := unusable(v.source, w)
		switch {
		case why != "":
		case w.Silent > 0:
			why = CaseSilent
		case !(w.Coverage >= minCoverage): // a NaN is no coverage
			why = CaseCoverage
		}
		if why != "" {
			return absence{source: v.source, reason: why, window: w}
		}
	}
	return absence{}
}

// missing holds when no source has usable data, and says of each what is wrong with it.
func missing(d *draft) {
	for _, a := range d.absences {
		d.add(d.absent(RuleNoData, a))
	}
	if len(d.absences) == 0 {
		d.add(Reason{Rule: RuleNoData, Case: CaseNoSource, To: d.proposal})
	}
}

// incomplete vetoes a fall that was proposed without all of the data.
func incomplete(d *draft) {
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
	for _, v := range d.votes {
		if v.doubt.reason != "" {
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
		out.Limit = minCoverage
	case CaseError:
		out.Window = nil
	}
	return out
}

// shown is a copy of w for a Reason, without values that are no numbers.
func shown(w Window) *Window {
	for _, x := range []*float64{&w.Value, &w.Coverage, &w.MeanReady} {
		if !finite(*x) {
			*x = 0
		}
	}
	return &w
}
