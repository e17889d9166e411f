package rpc

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
)

// fill gives every field a value of its own that is not zero.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(noon.Add(time.Duration(*n) * time.Second)))
		return
	case decider.State:
		v.Set(reflect.ValueOf(decider.Fresh))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case reflect.String:
		v.SetString(string(rune('a' + *n)))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.Bool:
		v.SetBool(true)
	default:
		v.SetInt(int64(*n))
	}
}

// carried checks that each field of a struct is carried by its message: without it, the message is another one. A field that is
// added to the struct and forgotten here fails. But names those that are not to be carried.
func carried[S any, M proto.Message](t *testing.T, convert func(S) M, but ...string) {
	t.Helper()
	var full S
	n := 0
	fill(reflect.ValueOf(&full).Elem(), &n)
	whole := convert(full)
	for i := range reflect.TypeFor[S]().NumField() {
		field := reflect.TypeFor[S]().Field(i)
		if slices.Contains(but, field.Name) {
			continue
		}
		without := full
		reflect.ValueOf(&without).Elem().Field(i).SetZero()
		require.False(t, proto.Equal(whole, convert(without)), "%s.%s is not carried", reflect.TypeFor[S](), field.Name)
	}
	// Every field of the message is filled, so none of it is there in vain.
	fields := whole.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		require.True(t, whole.ProtoReflect().Has(fields.Get(i)), "%s is never filled", fields.Get(i).FullName())
	}
}

func TestEveryFieldIsCarried(t *testing.T) {
	carried(t, newReason)
	carried(t, newWindow)
	carried(t, newOutcome)
	carried(t, newTarget)
	carried(t, func(a decider.Absence) *decisionv1.Absence {
		return newReason(decider.Reason{Absent: []decider.Absence{a}}).Absent[0]
	})
	inputs := func(in decider.Input) *decisionv1.Inputs {
		in.Quota.Name += "x" // without one there is no quota
		return newInputs(decider.Policy{}, in)
	}
	carried(t, inputs, "At", "History") // the one is Decision.at, the other is what ListDecisions gives
	carried(t, func(q decider.Quota) *decisionv1.Quota {
		return inputs(decider.Input{Quota: q}).Quota
	})
}

// Because is the rule's sentence, of which each number is a part; so each number must be there without it too.
func TestTheNumbersAreCarriedNotOnlyTheSentence(t *testing.T) {
	carriedWithout := func(r decider.Reason) *decisionv1.Reason {
		m := newReason(r)
		m.Because = "x"
		return m
	}
	carried(t, carriedWithout)
}

// Every verdict and state has its name in the proto.
func TestEveryNameHasItsNumber(t *testing.T) {
	for _, v := range []decider.Verdict{decider.ScaleUp, decider.ScaleDown, decider.Hold} {
		require.Equal(t, "VERDICT"+screaming(string(v)), verdicts[v].String())
	}
	for _, s := range []decider.State{decider.Fresh, decider.Stale, decider.Missing, decider.NoPods} {
		require.Equal(t, "WINDOW_STATE"+screaming(string(s)), states[s].String())
	}
	require.Len(t, verdicts, len(decisionv1.Verdict_name)-1)
	require.Len(t, states, len(decisionv1.WindowState_name)-1)
}

// screaming makes _SCALE_UP of ScaleUp.
func screaming(s string) (out string) {
	for _, r := range s {
		if unicode.IsUpper(r) {
			out += "_"
		}
		out += string(unicode.ToUpper(r))
	}
	return out
}

func TestWhatIsMissingIsAbsentAndAZeroIsThere(t *testing.T) {
	missing := newWindow(decider.Window{State: decider.Missing, NewestAge: -1})
	require.Nil(t, missing.Value)
	require.Nil(t, missing.NewestAge)
	zero := newWindow(decider.Window{State: decider.Fresh})
	require.Zero(t, *zero.Value)
	require.NotNil(t, zero.NewestAge)
	r := newReason(decider.Reason{Rule: decider.RuleSchedule, Schedule: "night"})
	require.Zero(t, *r.MinReplicas, "a schedule that allows zero says so")
	require.Nil(t, newReason(decider.Reason{Rule: decider.RuleNeed}).MinReplicas)

	in := newInputs(decider.Policy{Strategy: decider.APA}, decider.Input{Windows: []decider.SourceWindows{{Key: "k", Error: "odd \xff"}}})
	require.Equal(t, "odd �", in.Sources[0].Error, "a message takes nothing but UTF-8")
	require.Nil(t, in.Sources[0].Stable)
	require.Nil(t, in.Quota)

	failed := newAutoscaler(loop.Result{Err: errors.New("no answer")}, noon)
	require.Nil(t, failed.Decision)
	require.Nil(t, failed.Inputs)
	require.Equal(t, "no answer", failed.Error)
}
