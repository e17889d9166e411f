package rpc

import (
	"cmp"
	"context"
	"slices"
	"strings"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/internal/lint"
)

var severities = map[lint.Severity]decisionv1.Severity{
	lint.Error:   decisionv1.Severity_SEVERITY_ERROR,
	lint.Warning: decisionv1.Severity_SEVERITY_WARNING,
	lint.Note:    decisionv1.Severity_SEVERITY_NOTE,
}

// ListFindings implements DecisionService.
func (d decisions) ListFindings(_ context.Context, req *decisionv1.ListFindingsRequest) (*decisionv1.ListFindingsResponse, error) {
	if req.GetName() != "" && req.GetNamespace() == "" {
		return nil, invalid("namespace", "missing; a name is one of a namespace")
	}
	resp := &decisionv1.ListFindingsResponse{}
	for _, f := range d.Findings() {
		namespace, name, _ := strings.Cut(f.Object, "/")
		if req.GetNamespace() != "" && namespace != req.GetNamespace() || req.GetName() != "" && name != req.GetName() {
			continue
		}
		resp.Findings = append(resp.Findings, &decisionv1.Finding{
			Namespace: namespace, Name: name, Severity: severities[f.Severity], Field: utf8(f.Field), Text: utf8(f.Text),
		})
	}
	slices.SortStableFunc(resp.Findings, func(a, b *decisionv1.Finding) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Severity, b.Severity))
	})
	return resp, nil
}
