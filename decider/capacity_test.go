package decider

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// While pods wait for a node nothing is raised but by minReplicas; once none waits, they change nothing.
func TestWaitingPodsAreNotAddedTo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, in := drawCase(t)
		p.Strict, p.Pause = false, Pause{}
		in.Unschedulable = rapid.Int32Range(1, 9).Draw(t, "waiting")
		d := Decide(p, in)
		least, _, _, _ := p.BoundsAt(in.At)
		if d.To > max(d.From, least, 1) {
			t.Fatalf("raised\n%s", d.Explain())
		}
		in.Unschedulable = 0
		if free := Decide(p, in); d.To > max(free.To, d.From) || free.To < min(d.To, free.From) {
			t.Fatalf("waiting\n%snone waiting\n%s", d.Explain(), free.Explain())
		}
	})
}

// A quota hinders no fall, and lets a rise go on as far as it admits pods; only minReplicas asks for more.
func TestAQuotaIsNotExceeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, in := drawCase(t)
		p.Strict, p.Pause, in.Unschedulable = false, Pause{}, 0
		in.Quota = Quota{}
		free := Decide(p, in)
		in.Quota = Quota{Name: "gpus", Resource: "requests.nvidia.com/gpu", Most: rapid.Int32Range(0, 40).Draw(t, "most")}
		d := Decide(p, in)
		least, most, _, _ := p.BoundsAt(in.At)
		if !p.wakes() {
			least = max(1, least)
		}
		want := min(max(min(free.To, max(d.From, in.Quota.Most)), least), most)
		if want != d.To && d.Reasons[0].Rule != RuleZero {
			t.Fatalf("without the quota\n%swith it\n%swant %d", free.Explain(), d.Explain(), want)
		}
	})
}

// While not all that the data ask for can run, there is a reason of rule capacity, and it says how many are short; while all
// can, there is none.
func TestWhatCannotRunIsSaid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		p.Strict, p.Pause, p.ScaleDownDelay, p.ScaleUpDelay, p.Strategy = false, Pause{}, 0, 0, APA
		in := drawInput(t, p, epoch, History{{At: epoch.Add(-slot), To: 1}})
		in.Replicas, in.Delegated = max(1, in.Replicas), false
		in.Unschedulable, in.Quota = rapid.Int32Range(0, 9).Draw(t, "waiting"), Quota{}
		if rapid.Bool().Draw(t, "quota") {
			in.Quota = Quota{Name: "gpus", Most: rapid.Int32Range(0, 60).Draw(t, "most")}
		}
		d := Decide(p, in)
		last := d.Reasons[len(d.Reasons)-1]
		if last.Rule != RuleCapacity {
			last = Reason{From: d.To}
		}
		wanted, runs, waits := last.From, in.Ready+in.Starting, in.Unschedulable > 0
		short := wanted > runs && waits || wanted > max(runs, in.Quota.Most) && in.Quota.Name != ""
		if want := short || wanted > d.From && (waits || in.Quota.Name != "" && wanted > in.Quota.Most); want != (last.Rule == RuleCapacity) {
			t.Fatalf("want a reason: %v\n%s", want, d.Explain())
		}
		takes := runs
		if last.Case == CaseQuota {
			takes = max(runs, in.Quota.Most)
		}
		if n := last.Short(); short && n != wanted-min(takes, d.To) || !short && n > max(0, wanted-d.To) {
			t.Fatalf("%d short\n%s", n, d.Explain())
		}
	})
}

// quotaOf reads NAME:MOST:RESOURCE.
func quotaOf(text string) (Quota, error) {
	words := strings.SplitN(text, ":", 3)
	if len(words) != 3 {
		return Quota{}, fmt.Errorf("a name, the most pods and a resource, with colons between")
	}
	most, err := whole(words[1])
	return Quota{Name: words[0], Most: most, Resource: words[2]}, err
}
