package sim

import (
	"fmt"
	"slices"
)

// This file is what an operator or a controller does to the plant. Everything takes effect at the plant's present time.

// Scale sets a workload's replicas. It fails if there is no such workload, n is negative, or its pods are Given.
func (p *Plant) Scale(namespace, name string, n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, err := p.workload("scale", namespace, name)
	if err != nil {
		return err
	}
	if n < 0 {
		return fmt.Errorf("scale workload %s/%s to %d: must be 0 or more", namespace, name, n)
	}
	if w.spec.PodNames == Given {
		return fmt.Errorf("scale workload %s/%s: its pods are given; use AddPod and RemovePod", namespace, name)
	}
	w.replicas = n
	p.settle()
	return nil
}

// SetLoad replaces a workload's load; the new one starts now. Requests that have arrived stay.
func (p *Plant) SetLoad(namespace, name string, l LoadSpec) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, err := p.workload("set load", namespace, name)
	if err != nil {
		return err
	}
	if err := l.validate(); err != nil {
		return fmt.Errorf("set load of workload %s/%s: %w", namespace, name, err)
	}
	w.spec.Load = l
	p.startLoad(w)
	return nil
}

// Delete deletes a workload: its load ends, what waits at its gateway is lost, its pods drain.
func (p *Plant) Delete(namespace, name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, err := p.workload("delete", namespace, name)
	if err != nil {
		return err
	}
	p.delete(w)
	p.settle()
	return nil
}

func (p *Plant) delete(w *workload) {
	w.deleted, w.replicas, w.next = true, 0, nil
	for _, d := range slices.Clone(w.pods) {
		p.drain(d)
	}
	w.queue = nil
}

// Recreate deletes a workload, if it is there, and creates it again as it was configured first, under a new UID; its load starts anew.
func (p *Plant) Recreate(namespace, name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.cfg.Workloads, func(s WorkloadSpec) bool { return s.Namespace == namespace && s.Name == name })
	if i < 0 {
		return fmt.Errorf("recreate: workload %s/%s: %w", namespace, name, ErrNotFound)
	}
	if w, err := p.workload("recreate", namespace, name); err == nil {
		p.delete(w)
	}
	spec := p.cfg.Workloads[i]
	spec.UID = ""
	p.workloads = append(p.workloads, p.newWorkload(spec))
	p.settle()
	return nil
}

// AddPod creates a pod of a workload whose pods are Given.
func (p *Plant) AddPod(namespace, workload, name, uid string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, err := p.workload("add pod", namespace, workload)
	if err != nil {
		return err
	}
	if w.spec.PodNames != Given {
		return fmt.Errorf("add pod %s/%s: workload %s makes its own pods; use Scale", namespace, name, workload)
	}
	for _, d := range p.pods {
		if d.uid == uid || (d.workload.spec.Namespace == namespace && d.name == name) {
			return fmt.Errorf("add pod %s/%s, uid %s: a pod of that name or uid exists; wait until it is gone", namespace, name, uid)
		}
	}
	p.create(w, name, uid)
	p.settle()
	return nil
}

// RemovePod removes a pod with its grace: it drains. A workload that makes its own pods replaces it.
func (p *Plant) RemovePod(uid string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, err := p.pod("remove pod", uid)
	if err != nil {
		return err
	}
	p.drain(d)
	p.settle()
	return nil
}

// KillPod removes a pod at once, as an out-of-memory kill with a node's loss of the pod would: its requests go back to the gateway and start
// over. A workload that makes its own pods replaces it at once.
func (p *Plant) KillPod(uid string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, err := p.pod("kill pod", uid)
	if err != nil {
		return err
	}
	p.remove(d)
	p.settle()
	return nil
}

// Silence makes a pod's metrics page hang, or answer again. The engine behind it goes on serving.
func (p *Plant) Silence(uid string, silent bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, err := p.pod("silence", uid)
	if err != nil {
		return err
	}
	d.silent = silent
	return nil
}
