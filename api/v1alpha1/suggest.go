package v1alpha1

import "strings"

// closest returns the candidate that a misspelt word most likely stands for, or "" when none is near: at most two
// edits, or a third of the word's length for long words, upper and lower case being equal; a word that was cut short
// counts as one edit. Ties go to the first.
func closest(word string, candidates []string) string {
	best, bestDistance := "", max(2, len(word)/3)+1
	for _, c := range candidates {
		d := Distance(strings.ToLower(word), strings.ToLower(c))
		if len(word) >= 5 && strings.HasPrefix(c, word) {
			d = min(d, 1)
		}
		if d < bestDistance && d < len(c) {
			best, bestDistance = c, d
		}
	}
	return best
}

// didYouMean renders a suggestion as the end of an error text, or nothing.
func didYouMean(suggestion string) string {
	if suggestion == "" {
		return ""
	}
	return "; did you mean " + suggestion + "?"
}

// Distance is the Levenshtein distance in bytes: the least number of insertions, deletions and replacements. Of words
// longer than 256 bytes it is the length of the longer.
func Distance(a, b string) int {
	if len(a) > 256 || len(b) > 256 { // no name of ours is so long; quadratic work for nothing
		return max(len(a), len(b))
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
