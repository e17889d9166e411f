package v1alpha1

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// decimal is what a number may look like. strconv.ParseFloat alone would also take "NaN", "inf" and "0x1p-2".
var decimal = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// parseNumber reads a finite decimal number. Its errors say what to write instead.
func parseNumber(text string) (float64, error) {
	if text == "" {
		return 0, errors.New("is empty; write a decimal number such as 0.5")
	}
	if !decimal.MatchString(text) {
		return 0, notANumber(text)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(v, 0) {
		return 0, errors.New("is out of range; write a number below 1.8e308")
	}
	return v, nil
}

func notANumber(text string) error {
	if trimmed := strings.TrimSpace(text); trimmed != text && decimal.MatchString(trimmed) {
		return fmt.Errorf("has spaces around it; write %s", trimmed)
	}
	if percent, ok := strings.CutSuffix(text, "%"); ok {
		if v, err := parseNumber(percent); err == nil {
			return fmt.Errorf("has a percent sign; write %s where 1 is full, %s where 100 is",
				formatNumber(v/100), percent)
		}
	}
	if len(text) <= 20 { // a longer one is no quantity that a person wrote
		if q, err := resource.ParseQuantity(text); err == nil {
			return fmt.Errorf("is a Kubernetes quantity; write it out: %s", formatNumber(q.AsApproximateFloat64()))
		}
	}
	return errors.New("is not a number; write a decimal number such as 0.5")
}

// parseBool reads true or false, spelt so. Its errors say what to write instead.
func parseBool(text string) (bool, error) {
	if text == "true" || text == "false" {
		return text == "true", nil
	}
	if b, err := strconv.ParseBool(text); err == nil {
		return false, fmt.Errorf("is not a boolean; write %t", b)
	}
	return false, errors.New("is not a boolean; write true or false")
}

// parseDuration reads a Go duration. Its errors say what to write instead. "0" needs no unit, as in Go.
func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil {
		return d, nil
	}
	if decimal.MatchString(text) {
		return 0, fmt.Errorf("has no unit; write %ss for seconds or %sm for minutes", text, text)
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if v, err := parseNumber(days); err == nil {
			return 0, fmt.Errorf("has a unit that is not read; write %sh", formatNumber(v*24))
		}
	}
	return 0, errors.New("is not a duration; write a number with a unit, such as 300s or 5m")
}

// formatNumber writes a number as people do: no exponent, no trailing zeros.
func formatNumber(v float64) string {
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// formatDuration writes a duration without the empty units of time.Duration.String: 5m0s is 5m.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
