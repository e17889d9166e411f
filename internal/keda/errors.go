package keda

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
)

// domain is whose reasons those in an ErrorInfo are.
const domain = "flyball.dev"

// The reasons of an ErrorInfo. Those of a window without a usable value are its state in capitals.
const (
	reasonInvalidField   = "INVALID_FIELD"    // the BadRequest says which
	reasonOtherNamespace = "OTHER_NAMESPACE"  // the trigger's target is not in the ScaledObject's namespace
	reasonNoAutoscaler   = "NO_AUTOSCALER"    // none of that name is decided for
	reasonNoMetric       = "NO_METRIC"        // the trigger has no metric of that name
	reasonDelegated      = "DELEGATED"        // strategy HPA: a native HorizontalPodAutoscaler acts already
	reasonTargetType     = "TARGET_TYPE"      // mode load: a source's target is not per pod
	reasonTargetTooSmall = "TARGET_TOO_SMALL" // mode load: a source's target is none that KEDA can say
	reasonNotReady       = "NOT_READY"        // nothing has been decided yet
	reasonTurnFailed     = "TURN_FAILED"      // nothing can be decided, and so nothing has been for longer than maxStaleness
	reasonResultStale    = "RESULT_STALE"     // nothing has been decided for longer than maxStaleness
	reasonNoData         = "NO_DATA"          // no source has usable data
	reasonLowConfidence  = "LOW_CONFIDENCE"   // the windows are covered to less than minConfidence
	reasonUnevaluated    = "ERROR"            // mode load: the source could not be evaluated
	reasonNotNumber      = "NOT_NUMBER"       // mode load: the window's value is not finite
	reasonIncomplete     = "INCOMPLETE"       // mode load: what there is of the source's data would lower the count
)

// reasonOf is a window's state as a reason.
var reasonOf = map[decider.State]string{decider.Stale: "STALE", decider.Missing: "MISSING", decider.NoPods: "NO_PODS"}

// fail makes a status with an ErrorInfo. KEDA shows no more than its text, in its log and the ScaledObject's events, so
// that begins with the autoscaler, where there is one, and says what to do.
func fail(code codes.Code, reason, about, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	info := &errdetails.ErrorInfo{Reason: reason, Domain: domain}
	if about != "" {
		text = "autoscaler " + about + ": " + text
		info.Metadata = map[string]string{"autoscaler": about}
	}
	return detailed(code, text, info)
}

// wrong is about a key of the trigger's metadata.
func (t trigger) wrong(key, format string, args ...any) error {
	field, problem := "metadata."+key, fmt.Sprintf(format, args...)
	text := fmt.Sprintf("ScaledObject %s/%s: trigger: %s: %s", t.namespace, t.scaledObject, field, problem)
	return invalid(field, problem, text)
}

// invalid is about a field of the request.
func invalid(field, problem, text string) error {
	return detailed(codes.InvalidArgument, text, &errdetails.ErrorInfo{Reason: reasonInvalidField, Domain: domain},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: problem}}})
}

// detailed makes a status. Its text may quote what another system said; a message can only carry UTF-8.
func detailed(code codes.Code, text string, details ...protoadapt.MessageV1) error {
	st, err := status.New(code, strings.ToValidUTF8(text, "\uFFFD")).WithDetails(details...)
	if err != nil {
		panic("BUG: a detail that is not UTF-8, though the request was: " + err.Error())
	}
	return st.Err()
}

// unknown names the autoscalers of the same namespace that are most like the one asked for; other namespaces are none of
// the asker's business.
func (s *Scaler) unknown(t trigger) error {
	var there []string
	for _, r := range s.Results.List() {
		if r.Autoscaler.Namespace == t.namespace {
			there = append(there, r.Autoscaler.Name)
		}
	}
	const shown = 3
	there = nearest(t.autoscaler, there)
	there = there[:min(shown, len(there))]
	if len(there) == 0 {
		return fail(codes.NotFound, reasonNoAutoscaler, t.about(),
			"there is no such PodAutoscaler, nor any in that namespace, or none that can be decided for yet; see kubectl get podautoscaler -n %s", t.namespace)
	}
	return fail(codes.NotFound, reasonNoAutoscaler, t.about(),
		"there is no such PodAutoscaler, or it can not be decided for yet; set the trigger's metadata.target; did you mean %s?", strings.Join(there, ", "))
}

// blind says why the latest result tells nothing about the present; nil if it does. KEDA's fallback begins with an error, and
// the HPA holds on one: a zero, or an old number, would be believed.
func (t trigger) blind(r loop.Result, now time.Time) error {
	cannot := func(reason, format string, args ...any) error {
		return fail(codes.Unavailable, reason, t.about(), format, args...)
	}
	d := r.Decision
	switch age := now.Sub(r.At); {
	case len(d.Reasons) == 0 && r.Err != nil:
		return cannot(reasonTurnFailed, "nothing has been decided yet: %v", r.Err)
	case len(d.Reasons) == 0:
		return cannot(reasonNotReady, "nothing has been decided yet")
	case age > t.maxStaleness && r.Err != nil:
		return cannot(reasonTurnFailed, "nothing has been decided for %s, more than maxStaleness (%s): %v", age.Round(time.Second), t.maxStaleness, r.Err)
	case age > t.maxStaleness:
		return cannot(reasonResultStale, "the last decision is %s old, more than maxStaleness (%s)", age.Round(time.Second), t.maxStaleness)
	case unfounded(d):
		return cannot(reasonNoData, "%s", d.Reasons[0])
	}
	if covered, doubted := t.doubted(r); doubted {
		return cannot(reasonLowConfidence, "the windows are covered to %.1f%%, less than minConfidence (%v)", 100*covered, t.minConfidence)
	}
	return nil
}

// unfounded says whether a count was kept for want of data. One that a bound or a schedule then moved is asked for by the
// policy, whatever the load.
func unfounded(d decider.Decision) bool {
	return d.Reasons[0].Rule == decider.RuleNoData && d.To == d.From
}
