package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/internal/sim"
)

const (
	redraw     = 500 * time.Millisecond
	plainWidth = 200 // of lines that go to a file or a pipe
	eventsKept = 10  // on the screen
)

// show draws until ctx ends: a table that is drawn over on a terminal, a line for each change elsewhere.
func (w *watch) show(ctx context.Context) error {
	draw := w.lines
	if f, ok := w.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		draw = func() { w.screen(f) }
	} else {
		fmt.Fprintf(w.out, "flyball demo: simulated fleets, times compressed; queries at http://%s/api/v1/query\n", w.address)
	}
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			w.lines()
			return nil
		case <-tick.C:
			draw()
		}
	}
}

// lines prints the events that have not been shown.
func (w *watch) lines() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events[len(w.events)-w.unshown:] {
		fmt.Fprintln(w.out, cut(e, plainWidth))
	}
	w.unshown = 0
}

// screen draws the whole state over the last one.
func (w *watch) screen(f *os.File) {
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width, height = 120, 40
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unshown = 0
	rows := []string{
		fmt.Sprintf("flyball demo  %s  simulated fleets, times compressed  (Ctrl-C stops)", time.Since(w.started).Truncate(time.Second)),
		fmt.Sprintf("queries: http://%s/api/v1/query?query=vllm:num_requests_waiting", w.address),
		"",
		fmt.Sprintf("%-18s %-4s %8s %7s %7s  %6s %8s %5s  %s", "WORKLOAD", "BY", "LOAD", "RUNNING", "QUEUED", "WANTED", "STARTING", "READY", "WHY"),
	}
	for _, p := range w.snapshot.Workloads {
		rows = append(rows, w.row(p))
	}
	rows = append(rows, "", "CHANGES, newest first")
	for i := len(w.events) - 1; i >= 0 && i >= len(w.events)-eventsKept; i-- {
		rows = append(rows, "  "+w.events[i])
	}
	var b strings.Builder
	b.WriteString("\x1b[H")
	for i, row := range rows {
		if i >= height-1 {
			break
		}
		b.WriteString(cut(row, width) + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	fmt.Fprint(f, b.String())
}

func (w *watch) row(p sim.WorkloadState) string {
	x := w.of(p.Namespace, p.Name)
	why := "no decision yet"
	var a loop.Autoscaler
	if x.decided {
		why, a = because(x.result.Decision), x.result.Autoscaler
	}
	return fmt.Sprintf("%-18s %-4s %6.1f/s %7d %7d  %6d %8d %5d  %s",
		p.Namespace+"/"+p.Name, a.Policy.Strategy, p.Load, p.Running, p.Waiting+p.Queued, p.Replicas, p.Starting+p.Unschedulable, p.Ready, why)
}
