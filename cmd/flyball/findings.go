package main

import (
	"encoding/json"
	"maps"
	"slices"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/internal/lint"
	"github.com/flyball/flyball/internal/loop"
)

// findingsOf are what lint says of autoscalers that are in force. They are in no file, so only their fields say where.
func findingsOf(pas []*v1alpha1.PodAutoscaler, binder loop.Binder, log *zap.Logger) []lint.Finding {
	kind := metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "PodAutoscaler"}
	var files []lint.File
	for _, pa := range pas {
		written := &v1alpha1.PodAutoscaler{TypeMeta: kind, ObjectMeta: *pa.ObjectMeta.DeepCopy(), Spec: pa.Spec}
		written.ManagedFields = nil
		text, err := json.Marshal(written)
		if err != nil {
			log.Error("findings of an autoscaler", zap.String("namespace", pa.Namespace), zap.String("name", pa.Name), zap.Error(err))
			continue
		}
		files = append(files, lint.File{Data: text})
	}
	return lint.Check(files, binder).Findings
}

// Findings implements fleet.
func (f *kubeFleet) Findings() []lint.Finding {
	if !f.kube.HasSynced() {
		return nil
	}
	return findingsOf(f.kube.Autoscalers(), f.binder, f.log)
}

// Findings implements fleet.
func (f *plantFleet) Findings() []lint.Finding { return f.bindings.findings() }

func (b *bindings) findings() []lint.Finding {
	b.mu.Lock()
	pas := b.pas
	b.mu.Unlock()
	return findingsOf(pas, b.binder, b.log)
}

// Findings implements fleet: of the files as they are written, so that what could not be read is found too.
func (f *files) Findings() []lint.Finding {
	f.mu.Lock()
	texts := f.texts
	f.mu.Unlock()
	var all []lint.File
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		all = append(all, lint.File{Name: name, Data: []byte(texts[name])})
	}
	return lint.Check(all, f.bindings.binder).Findings
}
