package v1alpha1

import (
	"regexp"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flyball/flyball/decider"
)

var (
	scheduleName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	clockTime    = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
)

// weekdays as AIBrix spells them, in time.Weekday's order.
var weekdays = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// readSchedules checks every schedule, as AIBrix does, and makes the policy's of them.
func (c *conversion) readSchedules() {
	if c.pa.Spec.Schedules == nil {
		return
	}
	at := field.NewPath("spec", "schedules")
	if len(c.pa.Spec.Schedules) == 0 {
		c.required(at, "an empty list says nothing; remove it")
	}
	names, all := map[string]int{}, make([]decider.Schedule, len(c.pa.Spec.Schedules))
	for i, s := range c.pa.Spec.Schedules {
		at := at.Index(i)
		if !scheduleName.MatchString(s.Name) || len(s.Name) > 63 {
			c.invalid(at.Child("name"), s.Name, "must be up to 63 lower-case letters, digits and '-', such as office-hours")
		} else if _, taken := names[s.Name]; taken {
			c.errs = append(c.errs, field.Duplicate(at.Child("name"), s.Name))
		}
		names[s.Name] = i
		c.readTimezone(i, at.Child("timezone"))
		all[i] = c.readHours(s, at)
		c.readScheduleBounds(s, at)
		for j := range i {
			if overlap(all[i], all[j]) {
				c.invalid(at, s.Name, "overlaps schedule %s; at any time at most one may hold", c.pa.Spec.Schedules[j].Name)
			}
		}
	}
	c.policy.Schedules = all
}

func overlap(a, b decider.Schedule) bool {
	if a.From >= b.To || b.From >= a.To { // one that is not valid has no minutes at all
		return false
	}
	for day := range a.Days {
		if a.Days[day] && b.Days[day] {
			return true
		}
	}
	return false
}

func (c *conversion) readTimezone(i int, at *field.Path) {
	name, first := orElse(c.pa.Spec.Schedules[i].Timezone, "UTC"), orElse(c.pa.Spec.Schedules[0].Timezone, "UTC")
	zone, err := decider.LoadZone(name)
	switch {
	case err != nil:
		c.invalid(at, name, "is not an IANA time zone; write something like Europe/Berlin")
	case name != first:
		c.invalid(at, name, "must be the time zone of the first schedule, %s", first)
	default:
		c.policy.Zone = zone
	}
}

// readHours reads days and times of a schedule. One that is not valid has no minutes.
func (c *conversion) readHours(s Schedule, at *field.Path) decider.Schedule {
	out := decider.Schedule{Name: s.Name, MinReplicas: copied(s.MinReplicas), MaxReplicas: copied(s.MaxReplicas)}
	valid := s.DaysOfWeek == nil || len(s.DaysOfWeek) > 0
	if !valid {
		c.required(at.Child("daysOfWeek"), "an empty list says nothing; remove it for every day")
	}
	for day := range weekdays {
		out.Days[day] = s.DaysOfWeek == nil
	}
	for i, name := range s.DaysOfWeek {
		known := false
		for day, weekday := range weekdays {
			if strings.EqualFold(name, weekday) {
				out.Days[day], known = true, true
			}
		}
		if !known {
			c.errs = append(c.errs, field.NotSupported(at.Child("daysOfWeek").Index(i), name, weekdays))
		}
	}
	for _, t := range []struct{ name, text string }{{"startTime", s.StartTime}, {"endTime", s.EndTime}} {
		if !clockTime.MatchString(t.text) {
			c.invalid(at.Child(t.name), t.text, "is not a time of day; write HH:MM, such as 09:00")
			valid = false
		}
	}
	if valid && s.StartTime >= s.EndTime {
		c.invalid(at.Child("endTime"), s.EndTime, "must be later than startTime (%s); split a window that crosses midnight", s.StartTime)
		valid = false
	}
	if valid {
		out.From, out.To = minuteOfDay(s.StartTime), minuteOfDay(s.EndTime)
	}
	return out
}

// minuteOfDay reads HH:MM, which clockTime matches.
func minuteOfDay(text string) int {
	t, err := time.Parse("15:04", text)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return t.Hour()*60 + t.Minute()
}

// copied is a value of its own, so that a policy shares nothing with the manifest.
func copied(n *int32) *int32 {
	if n == nil {
		return nil
	}
	return new(*n)
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
