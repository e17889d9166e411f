package board

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrToken says that a text is no token of a watch.
var ErrToken = errors.New("not a resume token; give one that was received, or none")

// format makes a token: the store, a slash, and the number up to which everything was told.
func (b *Board) format(settled uint64) string {
	return b.storeID + "/" + strconv.FormatUint(settled, 10)
}

// parse reads a token, and says whether it is of this board's store. Nothing is a token of no store.
func (b *Board) parse(token string) (settled uint64, sameStore bool, err error) {
	if token == "" {
		return 0, false, nil
	}
	store, number, ok := strings.Cut(token, "/")
	settled, err = strconv.ParseUint(number, 10, 64)
	if !ok || store == "" || err != nil || strconv.FormatUint(settled, 10) != number {
		return 0, false, fmt.Errorf("%q is %w", token, ErrToken)
	}
	return settled, store == b.storeID, nil
}
