package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

// A table fits the terminal by cutting its one long column, and what an exporter said can't command the terminal.
func TestATableFitsTheTerminal(t *testing.T) {
	rows := func() [][]string {
		return [][]string{{"NAME", "WHY", "AGE"}, {"llm", "error: \x1b[2J" + strings.Repeat("é", 60), "2s"}, {"b", "", "10m"}}
	}
	for width, longest := range map[int]int{0: 4 + 3 + 71 + 3 + 3, 40: 40, 3: 4 + 3 + 20 + 3 + 3, 200: 84} {
		var b strings.Builder
		require.NoError(t, writeTable(&b, rows(), 1, width))
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		at := len([]rune(lines[0])) - len("AGE")
		require.Equal(t, longest, at+3)
		for i, age := range []string{"AGE", "2s", "10m"} {
			require.Equal(t, age, string([]rune(lines[i])[at:]), "columns are straight")
		}
		require.NotContains(t, b.String(), "\x1b")
		require.Regexp(t, `^b +- +10m$`, lines[2])
	}
}

func fresh(value, coverage float64, newest time.Duration) *decisionv1.Window {
	return &decisionv1.Window{
		State: decisionv1.WindowState_WINDOW_STATE_FRESH, Value: &value, Coverage: coverage, NewestAge: durationpb.New(newest), SilentFor: durationpb.New(0),
	}
}

// scaler has one source, which asked.
func scaler(name string, load, target float64, ready int32) *decisionv1.Autoscaler {
	source := "queue"
	w := fresh(load, 1, time.Second)
	return &decisionv1.Autoscaler{
		Namespace: "a", Name: name,
		Decision: &decisionv1.Decision{At: timestamppb.New(noon), Reasons: []*decisionv1.Reason{
			{Rule: "need", Because: "queue asks", Source: &source, Window: w, Target: &target},
			{Rule: "bounds", Because: "maxReplicas is 3"},
		}},
		Inputs: &decisionv1.Inputs{Ready: ready, Sources: []*decisionv1.SourceWindows{{Source: source, Stable: w}}},
	}
}

// Whatever keeps an autoscaler from its job comes before any load: a turn that failed, a write that did, data that are missing.
func TestTopRanksProblemsFirst(t *testing.T) {
	failed := scaler("failed", 1, 10, 1)
	failed.Error = "scrape: boom"
	refused := scaler("refused", 50, 10, 1)
	refused.Decision.Outcome = &decisionv1.Outcome{Why: "Refused", Detail: "quota"}
	partly := scaler("partly", 2, 10, 1)
	partly.Decision.Reasons[0].Absent = []*decisionv1.Absence{{Source: "kv"}}
	fallen := scaler("fallen", 3, 10, 1)
	fallen.Decision.Reasons = append(fallen.Decision.Reasons, &decisionv1.Reason{Rule: "incomplete", Because: "silent"})
	born := &decisionv1.Autoscaler{Namespace: "a", Name: "born"}
	advised := scaler("advised", 80, 10, 2)
	advised.Decision.Outcome = &decisionv1.Outcome{Why: "Advise"}
	all := []*decisionv1.Autoscaler{scaler("calm", 5, 10, 1), failed, advised, refused, partly, fallen, born}
	var b strings.Builder
	require.NoError(t, writeTop(&b, all, 0))
	var got []string
	for _, line := range strings.Split(strings.TrimSpace(b.String()), "\n")[1:] {
		cells := strings.Fields(line)
		got = append(got, cells[1]+" "+cells[2]+" "+strings.Join(cells[9:], " "))
	}
	require.Equal(t, []string{
		"refused 500 Refused: quota", "fallen 30 incomplete: silent", "partly 20 need: queue asks", "failed 10 error: scrape: boom",
		"born - no decision yet", "advised 400 -", "calm 50 -",
	}, got)
	require.Equal(t, "bounds: maxReplicas is 3", why(all[0]), "the rule that had the last word")
}

// A target of type Value is one of an average, which more pods don't divide.
func TestLoadIsCountedAsItsTargetIs(t *testing.T) {
	a := scaler("llm", 0.6, 0.8, 4)
	value := "Value"
	a.Decision.Reasons[0].TargetType = &value
	ratio, ok := loadRatio(a)
	require.True(t, ok)
	require.InDelta(t, 0.75, ratio, 1e-9)
	require.Equal(t, "queue=0.6/0.8", loads(a))

	a = scaler("llm", 60, 10, 4)
	a.Inputs.Sources = append(a.Inputs.Sources,
		&decisionv1.SourceWindows{Source: "kv", Stable: fresh(0.25, 0.996, 90*time.Second)},
		&decisionv1.SourceWindows{Source: "broken", Error: "no such metric"},
		&decisionv1.SourceWindows{Source: "old", Stable: &decisionv1.Window{State: decisionv1.WindowState_WINDOW_STATE_NO_PODS, Coverage: 1}})
	require.Equal(t, "queue=15/10,kv=0.25,broken=error,old=no-pods", loads(a))
	a.Decision.Reasons[0].Until = timestamppb.New(noon.Add(42 * time.Second))
	require.Equal(t, []string{"150", "0", "4", "0", "99%", "90s", "42s"}, topRow(a)[2:9])
}
