package loop

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The story of two fleets: one that grows under load, one whose exporters fall silent. Samples come at each second and
// 300 ms, decisions are made on whole seconds; the fleets' replicas don't follow, so the feed is the same for all.
const (
	storyEnd  = 70
	pause     = 32 // killed after the feed of second 31, in the middle of a window of 12 s, with no sample due before the restart
	childFlag = "FLYBALL_LOOP_STORY"
)

func feed(w *world, second int) {
	w.clock(float64(second) + 0.3)
	for pod := range 4 {
		queue := float64(5 + (second*7+pod*3)%11)
		if second > 20 && second < 40 {
			queue *= 4
		}
		w.pod("a", "grows-uid", fmt.Sprintf("pod-%d", pod), fmt.Sprintf("grows-%d", pod), queue)
		if second < 25 {
			w.pod("b", "silent-uid", fmt.Sprintf("pod-%d", pod), fmt.Sprintf("silent-%d", pod), queue)
		}
	}
}

// story plays the seconds from first on and prints each decision as a line of JSON. Before the second it is told to
// pause at, it says so and waits for ever.
func story(t *testing.T, dir string, first, pause int, out func(string)) {
	w := newWorld(t, dir, float64(first)-0.4)
	w.autoscaler(Target{Kind: "Deployment", Name: "grows", UID: "grows-uid"}, manifest("a", "grows"))
	w.autoscaler(Target{Kind: "Deployment", Name: "silent", UID: "silent-uid"}, manifest("b", "silent"))
	for i := range w.scalers {
		w.scalers[i].Policy.Mode = "Advise"
	}
	w.fleet["grows-uid"] = Scale{Replicas: 4, StatusReplicas: 4, Ready: 4}
	w.fleet["silent-uid"] = Scale{Replicas: 4, StatusReplicas: 4, Ready: 4}
	for second := first; second < storyEnd; second++ {
		w.results = nil
		w.step(float64(second))
		var lines []string
		for _, r := range w.results {
			require.NoError(t, r.Err)
			line, err := json.Marshal(r.Decision)
			require.NoError(t, err)
			lines = append(lines, fmt.Sprintf("%d %s %s", second, r.Autoscaler.Name, line))
		}
		slices.Sort(lines) // autoscalers of one second are decided for in any order
		for _, line := range lines {
			out(line)
		}
		feed(w, second)
		if second+1 == pause {
			out("paused")
			select {}
		}
	}
}

// A process that is killed in the middle of a window and started again decides as its twin that was never killed, with
// the same reasons: windows, panic and delays come from what is on disk.
func TestKilledAndRestartedDecidesLikeItsTwin(t *testing.T) {
	if dir := os.Getenv(childFlag); dir != "" {
		story(t, dir, 1, pause, func(s string) { fmt.Println("STORY " + s) })
		return
	}
	var twin []string
	story(t, t.TempDir(), 1, 0, func(s string) { twin = append(twin, s) })
	require.Contains(t, strings.Join(twin, "\n"), `"Verdict":"ScaleUp"`, "a story in which nothing happens proves nothing")
	require.Contains(t, strings.Join(twin, "\n"), `"Rule":"no-data"`)

	dir := t.TempDir()
	got := playUntilKilled(t, dir)
	story(t, dir, pause, 0, func(s string) { got = append(got, s) })

	require.Equal(t, len(twin), len(got))
	for i := range twin {
		require.Equal(t, twin[i], got[i])
	}
}

// playUntilKilled plays the first part in a child process, kills it without warning, and gives what it decided.
func playUntilKilled(t *testing.T, dir string) []string {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestKilledAndRestartedDecidesLikeItsTwin$", "-test.v")
	child.Env = append(os.Environ(), childFlag+"="+dir)
	stdout, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	var lines []string
	for sc := bufio.NewScanner(stdout); sc.Scan(); {
		line, ok := strings.CutPrefix(sc.Text(), "STORY ")
		if !ok {
			continue
		}
		if line == "paused" {
			break
		}
		lines = append(lines, line)
	}
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
	require.NotEmpty(t, lines)
	return lines
}
