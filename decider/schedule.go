package decider

import (
	"fmt"
	"slices"
	"time"
)

// Schedule is bounds that are in effect on some days from one minute to another, by the clocks of Policy.Zone.
type Schedule struct {
	Name string
	Days [7]bool // by time.Weekday
	From int     // minute of the day, inclusive; 0..1438
	To   int     // minute of the day, exclusive; > From, <= 1439

	MinReplicas *int32 // instead of Policy.MinReplicas; nil: that one
	MaxReplicas *int32 // instead of Policy.MaxReplicas; nil: that one
}

// horizon is how far ahead a transition is looked for. A schedule for Sundays at 02:30 begins nowhere on the Sunday when
// clocks jump from 02:00 to 03:00, so its next beginning may be two weeks ahead.
const horizon = 15 * 24 * time.Hour

// BoundsAt says which bounds are in effect at t, by which schedule (empty: by none), and when that changes (zero: never).
// A schedule is active whenever clocks in its zone show a time within it: an hour that clocks skip is skipped, one that
// they show twice counts twice.
func (p Policy) BoundsAt(t time.Time) (least, most int32, schedule string, until time.Time) {
	s := p.active(t)
	least, most = p.boundsOf(s)
	if s != nil {
		schedule = s.Name
	}
	return least, most, schedule, p.transition(t)
}

// active is the schedule in effect at t, or nil.
func (p Policy) active(t time.Time) *Schedule {
	if len(p.Schedules) == 0 {
		return nil
	}
	t = t.In(p.Zone.location())
	day, minute := t.Weekday(), t.Hour()*60+t.Minute()
	for i := range p.Schedules {
		if s := &p.Schedules[i]; s.Days[day] && s.From <= minute && minute < s.To {
			return s
		}
	}
	return nil
}

// boundsOf are the policy's bounds with what s has of its own.
func (p Policy) boundsOf(s *Schedule) (least, most int32) {
	least, most = p.MinReplicas, p.MaxReplicas
	if s != nil && s.MinReplicas != nil {
		least = *s.MinReplicas
	}
	if s != nil && s.MaxReplicas != nil {
		most = *s.MaxReplicas
	}
	return least, most
}

// transition is the first time after t at which another schedule, or none, is in effect; zero if there is none. Between two
// changes of the zone's offset, days are 24 hours long and the schedules' minutes can be counted off.
func (p Policy) transition(t time.Time) time.Time {
	if len(p.Schedules) == 0 {
		return time.Time{}
	}
	var minutes []int
	for _, s := range p.Schedules {
		minutes = append(minutes, s.From, s.To)
	}
	slices.Sort(minutes)
	now, end := p.active(t), t.Add(horizon)
	for from := t.In(p.Zone.location()); from.Before(end); {
		name, offset := from.Zone()
		fixed := time.FixedZone(name, offset)
		_, shift := from.ZoneBounds()
		if shift.IsZero() || shift.After(end) {
			shift = end
		}
		year, month, day := from.Date()
		for midnight := time.Date(year, month, day, 0, 0, 0, 0, fixed); midnight.Before(shift); midnight = midnight.Add(24 * time.Hour) {
			for _, m := range minutes {
				at := midnight.Add(time.Duration(m) * time.Minute)
				if at.After(from) && at.Before(shift) && p.active(at) != now {
					return at.UTC()
				}
			}
		}
		if p.active(shift) != now {
			return shift.UTC()
		}
		from = shift.In(p.Zone.location())
	}
	return time.Time{}
}

// schedule applies the bounds that the active schedule has of its own, and says so where the spec's would have been others.
func (d *draft) schedule() {
	s := d.active
	if s == nil {
		return
	}
	least, most := d.policy.boundsOf(s)
	r := Reason{Rule: RuleSchedule, To: d.proposal, Schedule: s.Name, MinReplicas: least, MaxReplicas: most}
	switch {
	case s.MaxReplicas != nil && d.proposal > most:
		r.Case, r.To, r.Limit = CaseMax, most, float64(most)
	case s.MinReplicas != nil && d.proposal < least:
		r.Case, r.To, r.Limit = CaseMin, least, float64(least)
	case d.proposal < least || d.proposal > most:
		return // by a bound of the spec's own, which rule bounds says
	case d.proposal > d.policy.MaxReplicas || d.proposal < d.policy.MinReplicas:
		r.Case = CaseOpen
	default:
		return
	}
	r.Until = d.policy.transition(d.in.At)
	d.add(r)
}

func (r Reason) schedule() string {
	until := ""
	if !r.Until.IsZero() {
		until = " until " + clock(r.Until)
	}
	if r.Case == CaseOpen {
		return fmt.Sprintf("%d is within the bounds of schedule %s, %d to %d%s", r.To, r.Schedule, r.MinReplicas, r.MaxReplicas, until) + r.held()
	}
	return r.instead() + fmt.Sprintf("schedule %s allows %d to %d%s", r.Schedule, r.MinReplicas, r.MaxReplicas, until) + r.held()
}
