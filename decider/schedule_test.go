package decider

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func zone(t interface{ Fatal(...any) }, name string) Zone {
	z, err := LoadZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// of is a policy of 1 to 10 with these schedules in that zone; each has the next number of pods as its least.
func of(z Zone, schedules ...Schedule) Policy {
	p := Policy{MinReplicas: 1, MaxReplicas: 10, Zone: z}
	for i, s := range schedules {
		least := int32(i + 2)
		s.MinReplicas = &least
		p.Schedules = append(p.Schedules, s)
	}
	return p
}

// In Berlin, clocks go from 02:00 to 03:00 on 2026-03-29, at 01:00 UTC, and from 03:00 back to 02:00 on 2026-10-25, likewise.
func TestSchedulesWhenClocksChange(t *testing.T) {
	for _, tc := range []struct {
		name, hours, days string
		at                string // UTC
		active            bool
		until             string // UTC
	}{
		{"before spring", "02:30-05:00", "", "2026-03-28T23:00:00Z", false, "2026-03-29T01:00:00Z"},
		{"begins in the hour that is skipped", "02:30-05:00", "", "2026-03-29T01:00:00Z", true, "2026-03-29T03:00:00Z"},
		{"ends in the hour that is skipped", "01:00-02:30", "", "2026-03-29T00:30:00Z", true, "2026-03-29T01:00:00Z"},
		{"lies in the hour that is skipped", "02:15-02:45", "", "2026-03-29T00:59:59Z", false, "2026-03-30T00:15:00Z"},
		{"lies there, on Sundays only", "02:15-02:45", "Sun", "2026-03-22T02:00:00Z", false, "2026-04-05T00:15:00Z"},
		{"spans the skipped hour", "01:00-04:00", "", "2026-03-29T00:00:00Z", true, "2026-03-29T02:00:00Z"},
		{"the morning after", "09:00-18:00", "", "2026-03-29T06:59:59Z", false, "2026-03-29T07:00:00Z"},
		{"the evening before", "09:00-18:00", "", "2026-03-28T17:00:00Z", false, "2026-03-29T07:00:00Z"},

		{"spans the hour that comes twice", "01:00-04:00", "", "2026-10-24T23:00:00Z", true, "2026-10-25T03:00:00Z"},
		{"lies in it: the first time", "02:15-02:45", "", "2026-10-25T00:15:00Z", true, "2026-10-25T00:45:00Z"},
		{"lies in it: between", "02:15-02:45", "", "2026-10-25T00:45:00Z", false, "2026-10-25T01:15:00Z"},
		{"lies in it: the second time", "02:15-02:45", "", "2026-10-25T01:15:00Z", true, "2026-10-25T01:45:00Z"},
		{"ends in it, and the clock goes back before the end", "01:00-02:30", "", "2026-10-25T00:30:00Z", false, "2026-10-25T01:00:00Z"},
		{"and again", "01:00-02:30", "", "2026-10-25T01:00:00Z", true, "2026-10-25T01:30:00Z"},
		{"the morning after it", "09:00-18:00", "", "2026-10-24T16:00:00Z", false, "2026-10-25T08:00:00Z"},
		{"days are those of the zone", "00:00-01:00", "Mon", "2026-10-25T22:59:59Z", false, "2026-10-25T23:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, tc.at)
			if err != nil {
				t.Fatal(err)
			}
			least, most, name, until := of(zone(t, "Europe/Berlin"), daily("x", tc.hours, tc.days)).BoundsAt(at)
			if (name == "x") != tc.active || (least == 2) != tc.active || most != 10 || until.Format(time.RFC3339) != tc.until {
				t.Errorf("%d to %d by %q until %s", least, most, name, until)
			}
		})
	}
}

func TestAPolicyWithoutSchedulesNeverChangesItsBounds(t *testing.T) {
	least, most, name, until := of(Zone{}).BoundsAt(epoch)
	if least != 1 || most != 10 || name != "" || !until.IsZero() {
		t.Error(least, most, name, until)
	}
}

// Up to the transition everything stays, and at it something changes, looked at minute by minute.
func TestATransitionIsTheNextChange(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "Africa/Casablanca"}
	rapid.Check(t, func(t *rapid.T) {
		minutes := rapid.SliceOfNDistinct(rapid.IntRange(0, 1439), 2, 5, rapid.ID).Draw(t, "minutes")
		p := of(zone(t, rapid.SampledFrom(zones).Draw(t, "zone")), daily("a", "00:00-00:01", ""), daily("b", "00:00-00:01", ""))
		p.Schedules[0].From, p.Schedules[0].To = min(minutes[0], minutes[1]), max(minutes[0], minutes[1])
		p.Schedules[1].From, p.Schedules[1].To = p.Schedules[0].To, max(p.Schedules[0].To+1, minutes[len(minutes)-1])
		for day := range 7 {
			p.Schedules[0].Days[day] = rapid.Bool().Draw(t, "day a") || day == 3
			p.Schedules[1].Days[day] = rapid.Bool().Draw(t, "day b")
		}
		start := time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 300*24*3600).Draw(t, "second")) * time.Second)
		now := p.active(start)
		until := p.transition(start)
		if !until.After(start) || p.active(until) == now || p.active(until.Add(-time.Second)) != now {
			t.Fatalf("from %s: %v until %s", start, now, until)
		}
		for at := start.Truncate(time.Minute).Add(time.Minute); at.Before(until); at = at.Add(time.Minute) {
			if p.active(at) != now {
				t.Fatalf("from %s: changes at %s already, not at %s", start, at, until)
			}
		}
	})
}

// A policy is written into the journal and read back; it must then say the same and compare equal, since one that seems
// to have changed is journalled in full at every decision.
func TestAPolicyCanBeWrittenDown(t *testing.T) {
	n := int32(0)
	p := of(zone(t, "Europe/Berlin"), daily("x", "02:30-05:00", "SatSun"))
	p.Pause.Replicas, p.Strategy, p.ObserveWindow = &n, APA, time.Minute
	for _, p := range []Policy{p, {Strategy: KPA}, of(zone(t, "UTC"))} {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var again Policy
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(p, again) {
			t.Errorf("%+v\nbecame\n%+v", p, again)
		}
	}
	if err := json.Unmarshal([]byte(`{"Zone":"Mars/Base"}`), &Policy{}); err == nil {
		t.Error("a zone that is none")
	}
	for _, name := range []string{"", "Local", "../etc/passwd", "Mars/Base"} {
		if _, err := LoadZone(name); err == nil {
			t.Errorf("%q is no zone", name)
		}
	}
}
