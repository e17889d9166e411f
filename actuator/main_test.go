package actuator

import (
	"testing"
	"time"

	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// waiting is the policy of most of these tests: 10 waiting requests per pod, from 1 to 10 pods.
func waiting() decider.Policy {
	return decider.Policy{
		Strategy: decider.APA, Mode: decider.Enforce, MinReplicas: 1, MaxReplicas: 10,
		Sources:       []decider.Source{{Key: "k", Name: "waiting", Target: 10, TargetType: decider.AverageValue}},
		ObserveWindow: time.Minute, MaxScaleUpRate: 1000, MaxScaleDownRate: 2,
	}
}

// fresh is a whole window with that fleet total.
func fresh(value float64, pods int) decider.Window {
	return decider.Window{
		Range: time.Minute, Value: value, At: noon, State: decider.Fresh, NewestAge: time.Second, Coverage: 1,
		Expected: pods, Reporting: pods, Answering: pods, MeanReady: float64(pods),
	}
}

// load is the input of a fleet of that many ready pods with that many waiting requests. The history makes it known.
func load(pods int32, value float64) decider.Input {
	return decider.Input{
		At: noon, Replicas: pods, StatusReplicas: pods, Ready: pods,
		Windows: []decider.SourceWindows{{Key: "k", Stable: fresh(value, int(pods))}},
	}
}

// turnOf is a turn that decided by the policy, with the outcome, for an autoscaler of generation 7.
func turnOf(p decider.Policy, in decider.Input, out decider.Outcome) Turn {
	t := Turn{Autoscaler: chat(), At: in.At, Policy: p, Input: in, Decision: decider.Decide(p, in)}
	out.Was, out.Now = t.Decision.From, t.Decision.From
	if out.Applied {
		out.Now, out.At = t.Decision.To, in.At.Add(30*time.Millisecond)
	}
	t.Decision.Entry.Outcome = out
	return t
}

func chat() *v1alpha1.PodAutoscaler {
	return &v1alpha1.PodAutoscaler{ObjectMeta: metav1.ObjectMeta{
		Namespace: "llm", Name: "chat", UID: "autoscaler-1", Generation: 7, ResourceVersion: "100",
	}}
}
