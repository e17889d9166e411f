package sim

import "fmt"

// addressPlan gives every pod, node and gateway its own loopback address, never one twice.
type addressPlan struct{ pods, nodes, gateways int }

// pod is the next of 127.64.0.1:8000, 127.64.0.2:8000 …, 250 to a /24 so that no address ends in 0 or 255. It comes around after 11.8 million.
func (a *addressPlan) pod() string {
	n := a.pods
	a.pods++
	return fmt.Sprintf("127.%d.%d.%d:8000", 64+n/62500%190, n/250%250, 1+n%250)
}

// node is the next of 127.32.0.1:9400, 127.32.0.2:9400 …
func (a *addressPlan) node() string {
	n := a.nodes
	a.nodes++
	return fmt.Sprintf("127.32.%d.%d:9400", n/250%250, 1+n%250)
}

// gateway is the next of 127.33.0.1:8080, 127.33.0.2:8080 …
func (a *addressPlan) gateway() string {
	n := a.gateways
	a.gateways++
	return fmt.Sprintf("127.33.%d.%d:8080", n/250%250, 1+n%250)
}

// nextAddress plans another address for an endpoint that could not have its own.
func (p *Plant) nextAddress(kind string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch kind {
	case podEndpoint:
		return p.addresses.pod()
	case nodeEndpoint:
		return p.addresses.node()
	default:
		return p.addresses.gateway()
	}
}

// rebind records the address that an endpoint really got.
func (p *Plant) rebind(e endpoint, address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.kind {
	case podEndpoint:
		if d, err := p.pod("rebind", e.id); err == nil { // else it went in the meantime and the next Sync closes the listener
			d.address = address
		}
	case nodeEndpoint:
		for _, n := range p.nodes {
			if n.spec.Name == e.id {
				n.address = address
			}
		}
	default:
		p.gateway = address
	}
}

// silent reports whether the pod's page is to hang.
func (p *Plant) silent(uid string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, err := p.pod("serve page", uid)
	return err == nil && d.silent
}
