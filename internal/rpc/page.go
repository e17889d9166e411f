package rpc

import (
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	defaultPage = 100
	maxPage     = 1000
	// pageBytes bounds a page: gRPC clients refuse messages of more than 4 MiB unless told otherwise.
	pageBytes = 3 << 20
)

// page is the room that is left on a page.
type page struct{ items, bytes int }

func newPage(asked int32) (page, error) {
	switch {
	case asked == 0:
		asked = defaultPage
	case asked < 0 || asked > maxPage:
		return page{}, invalid("page_size", "%d is out of range; give 1 to %d, or 0 for %d", asked, maxPage, defaultPage)
	}
	return page{int(asked), pageBytes}, nil
}

// fits takes the room for one more, if there is; for the first there always is.
func (p *page) fits(m proto.Message) bool {
	size := proto.Size(m)
	if p.items == 0 || p.bytes < size && p.bytes < pageBytes {
		return false
	}
	p.items--
	p.bytes -= size
	return true
}

// A page of names goes on behind the last one, as namespace/name.
func nameToken(namespace, name string) string { return namespace + "/" + name }

func parseNameToken(token string) (namespace, name string, err error) {
	if token == "" {
		return "", "", nil
	}
	namespace, name, ok := strings.Cut(token, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return "", "", errPageToken(token)
	}
	return namespace, name, nil
}

// A page of history goes on behind the last record: its time in nanoseconds since 1970, and its sequence.
func timeToken(at time.Time, sequence uint64) string {
	return strconv.FormatInt(at.UnixNano(), 10) + "/" + strconv.FormatUint(sequence, 10)
}

func parseTimeToken(token string) (at time.Time, sequence uint64, err error) {
	a, b, _ := strings.Cut(token, "/")
	ns, errA := strconv.ParseInt(a, 10, 64)
	sequence, errB := strconv.ParseUint(b, 10, 64)
	at = time.Unix(0, ns).UTC()
	if errA != nil || errB != nil || ns < 0 || timeToken(at, sequence) != token {
		return time.Time{}, 0, errPageToken(token)
	}
	return at, sequence, nil
}

func errPageToken(token string) error {
	return invalid("page_token", "%q is not one; give the next_page_token of the response before, or none", token)
}

// The journal's times are nanoseconds since 1970. What is further away means the same as the nearest of them.
var earliest, latest = time.Unix(0, 0).UTC(), time.Unix(0, math.MaxInt64-1).UTC()

// timeOf reads a field with a time; otherwise when it is absent.
func timeOf(field string, ts *timestamppb.Timestamp, otherwise time.Time) (time.Time, error) {
	if ts == nil {
		return otherwise, nil
	}
	if err := ts.CheckValid(); err != nil {
		return time.Time{}, invalid(field, "%s; give a time such as 2026-01-01T12:00:00Z", err)
	}
	t := ts.AsTime()
	switch {
	case t.Before(earliest):
		return earliest, nil
	case t.After(latest):
		return latest, nil
	}
	return t, nil
}
