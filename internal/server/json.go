package server

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// response is the envelope of every answer.
type response struct {
	Status    string   `json:"status"`
	Data      any      `json:"data,omitempty"`
	ErrorType string   `json:"errorType,omitempty"`
	Error     string   `json:"error,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
	Infos     []string `json:"infos,omitempty"`
}

type data struct {
	ResultType parser.ValueType `json:"resultType"`
	Result     any              `json:"result"`
}

// point is a pair of Unix seconds and the value as a string, so that NaN and Inf survive.
type point [2]any

type series struct {
	Metric labels.Labels `json:"metric"`
	Value  *point        `json:"value,omitempty"`
	Values []point       `json:"values,omitempty"`
}

func newPoint(ms int64, v float64) point {
	return point{json.Number(strconv.FormatFloat(float64(ms)/1000, 'f', -1, 64)), strconv.FormatFloat(v, 'f', -1, 64)}
}

// queryData renders floats only: nothing that is stored here is a native histogram.
func queryData(v parser.Value) data {
	d := data{ResultType: v.Type()}
	switch v := v.(type) {
	case promql.Scalar:
		d.Result = newPoint(v.T, v.V)
	case promql.String:
		d.Result = point{newPoint(v.T, 0)[0], v.V}
	case promql.Vector:
		out := make([]series, 0, len(v))
		for _, s := range v {
			p := newPoint(s.T, s.F)
			out = append(out, series{Metric: s.Metric, Value: &p})
		}
		d.Result = out
	case promql.Matrix:
		out := make([]series, 0, len(v))
		for _, s := range v {
			points := make([]point, 0, len(s.Floats))
			for _, f := range s.Floats {
				points = append(points, newPoint(f.T, f.F))
			}
			out = append(out, series{Metric: s.Metric, Values: points})
		}
		d.Result = out
	}
	return d
}

func (s *Server) buildinfo(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, response{Status: "success", Data: map[string]string{"application": "flyball", "version": s.Version}})
}

func write(w http.ResponseWriter, status int, r response) {
	body, err := json.Marshal(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
