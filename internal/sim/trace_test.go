package sim

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata/trace.csv anew")

// generated is the load from which testdata/trace.csv was made: ten minutes of a conversation service with bursts.
var generated = LoadSpec{
	Shape:  Bursts{Base: 0.8, Peak: 4, For: 20 * time.Second, Every: 2 * time.Minute},
	Prompt: Tokens{Mean: 1000, Sigma: 1, Max: 8000}, Output: Tokens{Mean: 200, Sigma: 0.8, Max: 1000},
}

func azureCSV(l LoadSpec, span time.Duration) []byte {
	var b bytes.Buffer
	b.WriteString("TIMESTAMP,ContextTokens,GeneratedTokens\n")
	src := newSource(l, 32768, 1, 1)
	for {
		r, ok := src.next()
		if !ok || r.arrived > span {
			return b.Bytes()
		}
		fmt.Fprintf(&b, "%s,%d,%d\n", start.Add(r.arrived).Format("2006-01-02 15:04:05.0000000"), r.prompt, r.output)
	}
}

func TestTheShippedTraceIsReadAndServed(t *testing.T) {
	const path = "testdata/trace.csv"
	if *update {
		must(t, os.WriteFile(path, azureCSV(generated, 10*time.Minute), 0o644))
	}
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	requests, err := ReadAzureTrace(f)
	must(t, err)
	if n, last := len(requests), requests[len(requests)-1].At; n < 400 || n > 2000 || last < 9*time.Minute || last > 10*time.Minute {
		t.Errorf("%d requests in %s", n, last)
	}
	c := fleet(2, nil)
	c.Workloads[0].Load = LoadSpec{Trace: &TraceSpec{Requests: requests, Speedup: 2}}
	if w := after(newPlant(t, c), 8*time.Minute).Workloads[0]; int(w.Completed) != len(requests) {
		t.Errorf("%d of %d requests completed three minutes after the trace's end", w.Completed, len(requests))
	}
}

func TestTheAzureConversationTraceIsRead(t *testing.T) {
	const path = "../../../shared/traces/azure-llm-2023-conv.csv"
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("azure-llm-2023-conv.csv is not here: the public Azure LLM inference trace of 2023 is not part of the project")
	}
	must(t, err)
	defer f.Close()
	requests, err := ReadAzureTrace(f)
	must(t, err)
	if len(requests) != 19366 || requests[0] != (Request{0, 374, 44}) || requests[1] != (Request{4_314_579_000, 396, 109}) {
		t.Errorf("%d requests, the first %v", len(requests), requests[:2])
	}
	c := fleet(6, nil)
	c.Workloads[0].Load = LoadSpec{Trace: &TraceSpec{Requests: requests}}
	if w := after(newPlant(t, c), 65*time.Minute).Workloads[0]; w.Completed != 19366 {
		t.Errorf("%d of 19366 requests completed", w.Completed)
	}
}

const azureHead = "TIMESTAMP,ContextTokens,GeneratedTokens\n"

func TestTraceErrorsNameLineAndColumn(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", "empty; want the header"},
		{"other header", "a,b,c\n", "line 1: header"},
		{"two fields", azureHead + "2023-11-16 18:15:46,1\n", "line 2"},
		{"open quote", azureHead + "\"x,1,2\n", "line 2"},
		{"no time", azureHead + "2023-11-16 18:15:46.1,1,2\nyesterday,1,2\n", `line 3, column 1: timestamp "yesterday"`},
		{"backwards", azureHead + "2023-11-16 18:15:46.1,1,2\n2023-11-16 18:15:46.0,1,2\n", "line 3, column 1: timestamp \"2023-11-16 18:15:46.0\" is before"},
		{"not a count", azureHead + "2023-11-16 18:15:46.1,1,many\n", `line 2, column 25: GeneratedTokens "many"`},
		{"negative", azureHead + "2023-11-16 18:15:46.1,-1,2\n", `line 2, column 23: ContextTokens "-1"`},
		{"too many", azureHead + "2023-11-16 18:15:46.1,99999999,2\n", `line 2, column 23: ContextTokens "99999999"; want a number from 0 to 10000000`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadAzureTrace(strings.NewReader(tt.in))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func FuzzReadAzureTrace(f *testing.F) {
	f.Add([]byte(azureHead))
	f.Add([]byte(azureHead + "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,0\n"))
	f.Add([]byte(azureHead + "\"2023-11-16 18:15:46\",1,2\r\n0001-01-01 00:00:00,1,2\n"))
	f.Add(azureCSV(generated, 20*time.Second))
	f.Fuzz(func(t *testing.T, in []byte) {
		requests, err := ReadAzureTrace(bytes.NewReader(in))
		if err != nil {
			if requests != nil || !strings.HasPrefix(err.Error(), "read trace: ") {
				t.Fatalf("requests %v with error %q", requests, err)
			}
			return
		}
		if len(requests) == 0 {
			return
		}
		if err := (&TraceSpec{Requests: requests}).validate(); err != nil {
			t.Fatalf("read without an error, but %v", err)
		}
		again, err := ReadAzureTrace(bytes.NewReader(in))
		if err != nil || !reflect.DeepEqual(again, requests) {
			t.Fatalf("read twice: %v and %v, %v", requests, again, err)
		}
	})
}
