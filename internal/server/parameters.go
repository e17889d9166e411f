package server

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// minTime and maxTime are the ends of time: what an absent start or end means, and the furthest that one is taken for.
// They are Prometheus's, which clients in Go send in words, although RFC 3339 has years of four digits only.
var (
	minTime = time.Unix(math.MinInt64/1000+62135596801, 0).UTC()
	maxTime = time.Unix(math.MaxInt64/1000-62135596801, 999999999).UTC()
)

// parseTime takes RFC 3339 or Unix seconds, to the millisecond.
func parseTime(v string) (time.Time, error) {
	if sec, err := strconv.ParseFloat(v, 64); err == nil && !math.IsNaN(sec) {
		switch {
		case sec <= float64(minTime.Unix()):
			return minTime, nil
		case sec >= float64(maxTime.Unix()):
			return maxTime, nil
		}
		whole, part := math.Modf(sec)
		return time.Unix(int64(whole), int64(math.Round(part*1000))*1e6).UTC(), nil
	}
	switch v {
	case minTime.Format(time.RFC3339Nano):
		return minTime, nil
	case maxTime.Format(time.RFC3339Nano):
		return maxTime, nil
	}
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil {
		return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp; give RFC 3339 or Unix seconds", v)
	}
	return t, nil
}

// parseDuration takes a duration such as 15s, or seconds.
func parseDuration(v string) (time.Duration, error) {
	if sec, err := strconv.ParseFloat(v, 64); err == nil {
		ns := sec * float64(time.Second)
		// 2^63 as a float is one more than an int64 holds.
		if math.IsNaN(ns) || ns >= math.MaxInt64 || ns < math.MinInt64 {
			return 0, fmt.Errorf("cannot parse %q to a valid duration: it is beyond 292 years", v)
		}
		return time.Duration(ns), nil
	}
	d, err := model.ParseDuration(v)
	if err != nil {
		return 0, fmt.Errorf("cannot parse %q to a valid duration; give one such as 15s, or seconds", v)
	}
	return time.Duration(d), nil
}

// parseLimit takes the most results to give; absent or 0 means no limit.
func parseLimit(v string) (int, error) {
	if v == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(v)
	switch {
	case err != nil:
		return 0, fmt.Errorf("cannot parse %q to a whole number", v)
	case n < 0:
		return 0, errors.New("limit must be non-negative")
	}
	return n, nil
}

// hint asks the storage for one more than the limit, to learn whether there is more.
func hint(limit int) int {
	if limit > 0 && limit < math.MaxInt {
		return limit + 1
	}
	return limit
}

// timeIn is a parameter's time.
func timeIn(form url.Values, name string, absent time.Time) (time.Time, error) {
	v := form.Get(name)
	if v == "" && !absent.IsZero() {
		return absent, nil
	}
	t, err := parseTime(v)
	if err != nil {
		return time.Time{}, invalid(name, err)
	}
	return t, nil
}

// limitIn is the parameter limit.
func limitIn(form url.Values) (int, error) {
	n, err := parseLimit(form.Get("limit"))
	if err != nil {
		return 0, invalid("limit", err)
	}
	return n, nil
}

// matchers reads selectors. One that matches every series is refused: whoever wants all says {__name__!=""}.
func (s *Server) matchers(selectors []string) ([][]*labels.Matcher, error) {
	sets, err := s.parser.ParseMetricSelectors(selectors)
	if err != nil {
		return nil, invalid("match[]", err)
	}
	for _, set := range sets {
		if !selective(set) {
			return nil, invalid("match[]", errors.New("match[] must contain at least one non-empty matcher"))
		}
	}
	return sets, nil
}

func selective(set []*labels.Matcher) bool {
	for _, m := range set {
		if m != nil && !m.Matches("") {
			return true
		}
	}
	return false
}
