package lint

// near is how many edits a misspelt name may be from the one that was meant.
const near = 2

// nearest is the one of names that word most likely stands for: at most near edits away and longer than these; "" when
// there is none, or when word is one of them.
func nearest(word string, names []string) string {
	best, least := "", near+1
	for _, name := range names {
		if d := distance(word, name); d < least && len(name) > 2*near {
			best, least = name, d
		}
	}
	if least == 0 {
		return ""
	}
	return best
}

// distance is the Levenshtein distance in bytes, or near+1 when it is certainly above near.
func distance(a, b string) int {
	if len(a)-len(b) > near || len(b)-len(a) > near {
		return near + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
