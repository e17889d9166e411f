package v1alpha1

import (
	"regexp"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

var (
	scheduleName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	clockTime    = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
)

// weekdays as AIBrix spells them, in time.Weekday's order.
var weekdays = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// span is when a schedule holds: a set of days, and "HH:MM" from and to, which compare as text.
type span struct {
	days     [7]bool
	from, to string
	valid    bool
}

func (s span) overlaps(o span) bool {
	if !s.valid || !o.valid || s.from >= o.to || o.from >= s.to {
		return false
	}
	for day := range s.days {
		if s.days[day] && o.days[day] {
			return true
		}
	}
	return false
}

// readSchedules checks every schedule, as AIBrix does, and refuses them all, since nothing evaluates them yet.
func (c *conversion) readSchedules() {
	if c.pa.Spec.Schedules == nil {
		return
	}
	at := field.NewPath("spec", "schedules")
	c.forbid(at, "schedules are not supported yet; remove them, or change minReplicas and maxReplicas at those times")
	if len(c.pa.Spec.Schedules) == 0 {
		c.required(at, "an empty list says nothing; remove it")
	}
	names, spans := map[string]int{}, make([]span, len(c.pa.Spec.Schedules))
	for i, s := range c.pa.Spec.Schedules {
		at := at.Index(i)
		if !scheduleName.MatchString(s.Name) || len(s.Name) > 63 {
			c.invalid(at.Child("name"), s.Name, "must be up to 63 lower-case letters, digits and '-', such as office-hours")
		} else if _, taken := names[s.Name]; taken {
			c.errs = append(c.errs, field.Duplicate(at.Child("name"), s.Name))
		}
		names[s.Name] = i
		c.readTimezone(i, at.Child("timezone"))
		spans[i] = c.readSpan(s, at)
		c.readScheduleBounds(s, at)
		for j := range i {
			if spans[i].overlaps(spans[j]) {
				c.invalid(at, s.Name, "overlaps schedule %s; at any time at most one may hold", c.pa.Spec.Schedules[j].Name)
			}
		}
	}
}

func (c *conversion) readTimezone(i int, at *field.Path) {
	zone, first := orElse(c.pa.Spec.Schedules[i].Timezone, "UTC"), orElse(c.pa.Spec.Schedules[0].Timezone, "UTC")
	if _, err := time.LoadLocation(zone); err != nil || zone == "Local" {
		c.invalid(at, zone, "is not an IANA time zone; write something like Europe/Berlin")
	} else if zone != first {
		c.invalid(at, zone, "must be the time zone of the first schedule, %s", first)
	}
}

func (c *conversion) readSpan(s Schedule, at *field.Path) span {
	out := span{from: s.StartTime, to: s.EndTime, valid: true}
	if s.DaysOfWeek != nil && len(s.DaysOfWeek) == 0 {
		c.required(at.Child("daysOfWeek"), "an empty list says nothing; remove it for every day")
		out.valid = false
	}
	for day := range weekdays {
		out.days[day] = s.DaysOfWeek == nil
	}
	for i, name := range s.DaysOfWeek {
		known := false
		for day, weekday := range weekdays {
			if strings.EqualFold(name, weekday) {
				out.days[day], known = true, true
			}
		}
		if !known {
			c.errs = append(c.errs, field.NotSupported(at.Child("daysOfWeek").Index(i), name, weekdays))
		}
	}
	for _, t := range []struct{ name, text string }{{"startTime", s.StartTime}, {"endTime", s.EndTime}} {
		if !clockTime.MatchString(t.text) {
			c.invalid(at.Child(t.name), t.text, "is not a time of day; write HH:MM, such as 09:00")
			out.valid = false
		}
	}
	if out.valid && s.StartTime >= s.EndTime {
		c.invalid(at.Child("endTime"), s.EndTime, "must be later than startTime (%s); split a window that crosses midnight", s.StartTime)
		out.valid = false
	}
	return out
}

func (c *conversion) readScheduleBounds(s Schedule, at *field.Path) {
	if s.MinReplicas == nil && s.MaxReplicas == nil {
		c.required(at.Child("minReplicas"), "give minReplicas, maxReplicas or both")
		return
	}
	least, most := c.policy.MinReplicas, c.policy.MaxReplicas
	if s.MinReplicas != nil {
		least = *s.MinReplicas
	}
	if s.MaxReplicas != nil {
		most = *s.MaxReplicas
	}
	switch {
	case least < 0:
		c.invalid(at.Child("minReplicas"), least, "must be 0 or more")
	case most <= 0:
		c.invalid(at.Child("maxReplicas"), most, "must be 1 or more")
	case least > most:
		c.invalid(at.Child("minReplicas"), least, "must not be greater than maxReplicas (%d)", most)
	}
}
