package datasource

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/dashboards/plugin/client"
)

// routes are lists of names, for variables and the editor: namespaces, autoscalers?namespace=, sources?namespace=&name=.
func (d *Datasource) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /namespaces", d.list(func(a *decisionv1.Autoscaler) []string { return []string{a.GetNamespace()} }))
	mux.HandleFunc("GET /autoscalers", d.list(func(a *decisionv1.Autoscaler) []string { return []string{a.GetName()} }))
	mux.HandleFunc("GET /sources", d.list(func(a *decisionv1.Autoscaler) []string {
		var out []string
		for _, s := range a.GetInputs().GetSources() {
			out = append(out, s.GetSource())
		}
		return out
	}))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		say(w, http.StatusNotFound, map[string]string{"message": r.Method + " " + r.URL.Path + " is none; GET namespaces, autoscalers or sources"})
	})
	return mux
}

// list answers with the names that the autoscalers of the request have, sorted, each once.
func (d *Datasource) list(of func(*decisionv1.Autoscaler) []string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := query{QueryType: typeAutoscalers, Namespace: r.URL.Query().Get("namespace"), Name: r.URL.Query().Get("name")}
		c, err := client.New(d.http, d.address)
		if err == nil {
			err = q.check()
		}
		var all []*decisionv1.Autoscaler
		if err == nil {
			all, _, err = q.autoscalers(r.Context(), c)
		}
		if err != nil {
			status := http.StatusBadRequest
			if errors.As(err, new(*client.Error)) {
				status = http.StatusBadGateway
			}
			say(w, status, map[string]string{"message": err.Error()})
			return
		}
		out := []string{}
		for _, a := range all {
			out = append(out, of(a)...)
		}
		slices.Sort(out)
		say(w, http.StatusOK, slices.Compact(out))
	}
}

func say(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the reader may have gone
}
