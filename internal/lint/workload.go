package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
)

const (
	hpaKind    = "HorizontalPodAutoscaler"
	scaledKind = "ScaledObject"
)

// reference names a target as HorizontalPodAutoscalers and ScaledObjects do.
type reference struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Name       string `yaml:"name"`
}

// trigger is what a ScaledObject scales on.
type trigger struct {
	Type     string            `yaml:"type"`
	Metadata map[string]string `yaml:"metadata"`
}

// container is the part of a container that lint reads.
type container struct {
	Ports []struct {
		ContainerPort int `yaml:"containerPort"`
	} `yaml:"ports"`
}

// workload says that the object is of a kind that is scaled and has pods.
func (o *object) workload() bool {
	return group(o.apiVersion) == "apps" && slices.Contains([]string{"Deployment", "StatefulSet", "ReplicaSet"}, o.kind)
}

// rival says that the object scales others.
func (o *object) rival() bool {
	return o.kind == hpaKind && group(o.apiVersion) == "autoscaling" || o.kind == scaledKind && group(o.apiVersion) == "keda.sh"
}

// understood says that lint reads more of the object than its name.
func (o *object) understood() bool { return o.workload() || o.rival() }

// malformed is the first field of those that lint reads which has not the shape that it should have; "" for none.
func (o *object) malformed() string {
	if o.workload() {
		_, wrong := o.ports()
		return wrong
	}
	if _, wrong := o.scales(); wrong != "" {
		return wrong
	}
	_, wrong := o.triggers()
	return wrong
}

// ports are the ports that a workload's pods declare, or the field that is malformed.
func (o *object) ports() (out []int, wrong string) {
	for _, path := range []string{"spec.template.spec.containers", "spec.template.spec.initContainers"} {
		var containers []container
		if err := o.decode(path, &containers); err != nil {
			return nil, path
		}
		for _, c := range containers {
			for _, p := range c.Ports {
				out = append(out, p.ContainerPort)
			}
		}
	}
	return out, ""
}

// scales is the target of an object that scales others, or the field that is malformed. A ScaledObject's is a
// Deployment unless it says otherwise.
func (o *object) scales() (ref reference, wrong string) {
	const path = "spec.scaleTargetRef"
	if err := o.decode(path, &ref); err != nil {
		return reference{}, path
	}
	if o.kind == scaledKind && ref.Kind == "" {
		ref.APIVersion, ref.Kind = "apps/v1", "Deployment"
	}
	return ref, ""
}

// triggers are a ScaledObject's; none of one that is malformed.
func (o *object) triggers() (out []trigger, wrong string) {
	const path = "spec.triggers"
	if o.kind != scaledKind {
		return nil, ""
	}
	if err := o.decode(path, &out); err != nil {
		return nil, path
	}
	return out, ""
}

// target looks for the target among the files' objects, and compares it with what the sources say of it. Without any
// workload in the files there is nothing to compare with.
func (c *checker) target(a *autoscaler) {
	ref := a.pa.Target()
	if ref.Kind == "" || ref.Name == "" || !slices.ContainsFunc(c.objects, (*object).workload) {
		return
	}
	var found *object
	for _, o := range c.objects {
		if !o.rival() && o.kind == ref.Kind && group(o.apiVersion) == group(ref.APIVersion) && o.namespace == ref.Namespace && o.name == ref.Name {
			found = o
		}
	}
	if found == nil {
		c.say(a.object, Warning, "spec.scaleTargetRef", "%s of %s %s/%s is not in the files%s", ref.Kind, ref.APIVersion,
			ref.Namespace, ref.Name, c.instead(ref.Kind, ref.Namespace, ref.Name))
		return
	}
	if ports, wrong := found.ports(); wrong == "" && found.workload() {
		for i, s := range a.pa.Spec.MetricsSources {
			c.port(a, i, s, found, ports)
		}
	}
}

// instead names the workload that was most likely meant.
func (c *checker) instead(kind, namespace, name string) string {
	near := func(fits func(o *object) bool, hint string) string {
		for _, o := range c.objects {
			if o.workload() && fits(o) {
				return fmt.Sprintf("; %s %s", o.where(), hint)
			}
		}
		return ""
	}
	for _, hint := range []string{
		near(func(o *object) bool { return o.name == name && o.namespace == namespace }, "is of another kind or group: name that one"),
		near(func(o *object) bool { return o.name == name && o.kind == kind },
			"is in another namespace: an autoscaler scales in its own one, so move one of them"),
		near(func(o *object) bool { return o.namespace == namespace && v1alpha1.Distance(o.name, name) <= 2 }, "has a name like it: did you mean that one?"),
	} {
		if hint != "" {
			return hint
		}
	}
	return ""
}

// port compares the port that a source names with those that the target's pods declare. A GPU exporter is another pod,
// so the target says nothing of its port.
func (c *checker) port(a *autoscaler, i int, s v1alpha1.MetricSource, o *object, declared []int) {
	port, err := strconv.Atoi(s.Port)
	if err != nil || s.Kind() != v1alpha1.PodSource || slices.Contains(declared, port) || strings.HasPrefix(s.TargetMetric, gpuPrefix) {
		return
	}
	has := "declares none"
	if len(declared) > 0 {
		has = "declares " + join(declared)
	}
	c.say(a.object, Warning, sourceField(i, "port"), "%s %s; name the exporter's port, or add {containerPort: %d} to its container",
		o.where(), has, port)
}

func join(ports []int) string {
	texts := make([]string, len(ports))
	for i, p := range ports {
		texts[i] = strconv.Itoa(p)
	}
	return strings.Join(texts, ", ")
}
