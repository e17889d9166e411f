package build

import (
	"fmt"
	"strings"

	"github.com/flyball/flyball/decider"
)

// verdicts are the rules that can have the last word, each with its color and what its having it means. A rule's place is its number in
// the state timelines.
var verdicts = []struct {
	rule        decider.Rule
	color, text string
}{
	{decider.RuleSteady, "green", "the count is what is needed"},
	{decider.RuleNeed, "blue", "the windows ask for it"},
	{decider.RuleTolerance, "light-green", "near enough to the target"},
	{decider.RuleRate, "light-blue", "one decision changes no more"},
	{decider.RuleUpDelay, "light-yellow", "more was not asked for long enough"},
	{decider.RuleDownDelay, "super-light-yellow", "fewer was not asked for long enough"},
	{decider.RulePanic, "orange", "panic: nothing is lowered"},
	{decider.RuleStarting, "yellow", "pods that start are not asked for again"},
	{decider.RuleBounds, "dark-orange", "minReplicas or maxReplicas"},
	{decider.RuleSchedule, "semi-dark-blue", "the active schedule's bounds"},
	{decider.RuleActivation, "dark-green", "the least count above zero"},
	{decider.RuleCapacity, "red", "no node or quota takes more"},
	{decider.RuleIncomplete, "light-purple", "some data are missing: nothing is lowered"},
	{decider.RuleNoData, "purple", "no usable data: hold"},
	{decider.RulePause, gray, "paused by annotation"},
	{decider.RuleZero, "dark-purple", "at zero, and not by flyball"},
	{decider.RuleDelegated, "dark-blue", "a native HorizontalPodAutoscaler decides"},
}

// ruleNumbers is the number of the rule that has the last word for each autoscaler.
func ruleNumbers(matchers string) string {
	var terms []string
	for i, v := range verdicts {
		terms = append(terms, fmt.Sprintf(`flyball_autoscaler_binding_rule{%s, rule="%s"} * %d`, matchers, v.rule, i))
	}
	return "max by (namespace, name) (" + strings.Join(terms, " or ") + ")"
}

// ruleStates are what these numbers stand for.
func ruleStates() []state {
	var out []state
	for i, v := range verdicts {
		out = append(out, state{i, string(v.rule), v.color})
	}
	return out
}
