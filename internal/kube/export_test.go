package kube

import "time"

// Rediscover sets how often what failed is tried again, before Run.
func (k *Kube) Rediscover(every time.Duration) { k.mapper.every = every }

// Watched are the resources of targets that are followed.
func (k *Kube) Watched() []string {
	k.targets.mu.RLock()
	defer k.targets.mu.RUnlock()
	var out []string
	for resource := range k.targets.watches {
		out = append(out, resource.Resource)
	}
	return out
}

// OwnersKnown is how many owners other than ReplicaSets are remembered.
func (k *Kube) OwnersKnown() int {
	k.owners.mu.RLock()
	defer k.owners.mu.RUnlock()
	return len(k.owners.known) + len(k.owners.children)
}

// ExpireOwners has all owners read again.
func (k *Kube) ExpireOwners() {
	k.owners.mu.Lock()
	defer k.owners.mu.Unlock()
	for uid, own := range k.owners.known {
		own.until = time.Time{}
		k.owners.known[uid] = own
	}
}

var Number = number
