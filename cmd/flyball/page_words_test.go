package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/dashboards/web"
)

// The page's modules say numbers, ages and problems as the command line does. They are asked in the browser that runs them.
func TestThePagesWordsAreThoseOfTheCommandLine(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	srv := httptest.NewServer(web.Handler())
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	b.open(srv.URL + "/static/icon.svg") // a page of the same origin that asks for nothing itself
	reason := func(rule string, more string) string {
		return fmt.Sprintf(`{decision: {from: 2, to: 2, reasons: [{rule: %q, because: "it is so", from: 2, to: 2%s}]}}`, rule, more)
	}
	for _, c := range []struct{ module, expression, want string }{
		{"format", `m.number(0)`, `"0"`},
		{"format", `m.number(undefined)`, `"no data"`},
		{"format", `m.number(12345.6)`, `"12346"`},
		{"format", `m.number(0.0385671)`, `"0.03857"`},
		{"format", `m.percent(0.996)`, `"99 %"`},
		{"format", `m.percent(1)`, `"100 %"`},
		{"format", `m.span(0.02)`, `"0 s"`},
		{"format", `m.span(9.94)`, `"9.9 s"`},
		{"format", `m.span(3725)`, `"1 h 2 min"`},
		{"format", `m.span(90061)`, `"1 d 1 h"`},
		{"format", `[m.lengthOf("90"), m.lengthOf("5m"), m.lengthOf("1h30m"), m.lengthOf("0.5s")]`, `[90,300,5400,0.5]`},
		{"format", `["", "5", "m5", "-5s", "5 m", "1e3"].map((s) => Number.isNaN(m.lengthOf(s)))`, `[true,false,true,true,true,true]`},
		{"format", `m.matcher("name", 'a"b\\c')`, `"name=\"a\\\"b\\\\c\""`},
		{"model", `m.problemOf({error: "it is broken", decision: {}}, 0)`, `{"kind":"error","words":"it is broken"}`},
		{"model", `m.problemOf({}, 0)`, `{"kind":"error","words":"no decision yet"}`},
		{"model", `m.problemOf({decision: {outcome: {why: "Refused", detail: "quota"}}}, 0)`, `{"kind":"not written","words":"Refused: quota"}`},
		{"model", `m.problemOf({decision: {outcome: {why: "Advise"}, reasons: []}}, 0)`, `null`},
		{"model", `m.problemOf(` + reason("steady", "") + `, 45)`, `{"kind":"late","words":"no decision for 45 s"}`},
		{"model", `m.problemOf(` + reason("steady", "") + `, 5)`, `null`},
		{"model", `m.problemOf(` + reason("no-data", "") + `, 5)`, `{"kind":"no data","words":"no-data: it is so"}`},
		{"model", `m.problemOf(` + reason("need", `, absent: [{source: "q"}]`) + `, 5)`, `{"kind":"no data","words":"need: it is so"}`},
		{"model", `m.problemOf(` + reason("capacity", "") + `, 5)`, `{"kind":"short","words":"capacity: it is so"}`},
		{"model", `m.problemOf(` + reason("bounds", `, case: "max", from: 3`) + `, 5)`, `{"kind":"at maximum","words":"bounds: it is so"}`},
		{"model", `m.problemOf(` + reason("bounds", `, case: "min", from: 1`) + `, 5)`, `null`},
		{"model", `m.problemOf(` + reason("need", `, until: "2026-01-01T12:00:00Z"`) + `, 5)`, `{"kind":"panic","words":"need: it is so"}`},
		{"model", `m.loadOf(` + reason("need", `, window: {value: 0}, target: 10`) + `)`, `0`},
		{"model", `m.loadOf(` + reason("need", `, window: {}, target: 10`) + `)`, `null`},
		{"model", `m.changes([1, 1, null, 2, 2, 1])`, `2`},
		{"series", `[900, 3600, 21600, 86400].map(m.stepOf)`, `[2,5,30,120]`},
		{"series", `m.different({times: [10, 12, 14, 16], step: 2, first: 10}, {steps: [{at: "1970-01-01T00:00:11Z", to: 3}, {at: "1970-01-01T00:00:12Z", to: 2}, {at: "1970-01-01T00:00:16Z", to: 1}]})`, `[null,3,null,1]`},
		{"series", `m.different({times: [0, 1, 2, 3], step: 1, first: 0}, {steps: [{at: "1970-01-01T00:00:00Z", to: 3}, {at: "1970-01-01T00:00:02Z", to: 2}]})`, `[3,3,2,2]`},
	} {
		got := evaluate[string](b, fmt.Sprintf(`import("/static/%s.js").then((m) => JSON.stringify(%s))`, c.module, c.expression))
		require.True(t, json.Valid([]byte(got)), got)
		require.JSONEq(t, c.want, got, c.expression)
	}
}
