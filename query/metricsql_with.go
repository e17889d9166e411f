package query

import (
	"errors"
	"fmt"
	"strings"
)

// WITH templates are expanded by the parser without a limit, and a template may use another twice, which uses another twice: sixty
// bytes can ask for a gigabyte. So growth is bounded before parsing, from the words alone.
const (
	maxTemplateCopies = 4096 // templates without parameters: the product of how often each is used bounds the copies of any part
	maxTemplateUses   = 10   // as soon as one has parameters: f(f(f(x))) multiplies by itself. 10 uses make at most 4,096 copies
)

// builtinTemplates are defined by the language itself.
var builtinTemplates = []string{"ru", "ttf", "range_median", "alias"}

// checkTemplates refuses a MetricsQL query whose templates could grow beyond bounds.
func checkTemplates(query string) error {
	words, defined, functions := templateWords(query)
	uses, copies, used := 0, 1, false
	for _, name := range builtinTemplates {
		if n := words[name]; n > 0 {
			defined[name] = 0
			functions = true
		}
	}
	for name, definitions := range defined {
		n := words[name] - definitions
		used = used || n > 0
		uses += n
		if copies < maxTemplateCopies {
			copies *= max(1, n)
		}
	}
	switch {
	case used && strings.Contains(replaceStrings(query), `\`):
		return errors.New("names with backslashes and WITH templates don't go together: rename the template")
	case functions && uses > maxTemplateUses:
		return fmt.Errorf("templates with parameters are used %d times, counting their parameters; %d are allowed: write it out", uses, maxTemplateUses)
	case copies >= maxTemplateCopies:
		return fmt.Errorf("WITH templates could grow to %d copies or more: write it out", maxTemplateCopies)
	}
	return nil
}

// templateWords counts the words of a query in lower case, and says which of them are defined by WITH, and how often. A template's
// parameters count as defined. What looks like a definition and is none (a label filter outside braces can't be) only lowers the bounds.
func templateWords(query string) (words, defined map[string]int, functions bool) {
	words, defined = map[string]int{}, map[string]int{}
	s := strings.ToLower(replaceStrings(query))
	braces := 0
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '{':
			braces++
		case c == '}':
			braces--
		case goesOn(s[i:]) || c == ':' || c == '.' || c >= 0x80:
			n := wordLen(s[i:])
			word := s[i : i+n]
			words[word]++
			i += n
			if braces == 0 {
				if params, ok := definition(s[i:]); ok {
					defined[word]++
					for _, p := range params {
						defined[p]++
						functions = true
					}
				}
			}
			continue
		}
		i++
	}
	return words, defined, functions
}

// definition says whether what follows a word defines it: `=`, or `(a, b) =`.
func definition(s string) (params []string, ok bool) {
	s = strings.TrimLeft(s, " \t\r\n\v\f")
	if strings.HasPrefix(s, "(") {
		end := strings.IndexByte(s, ')')
		if end < 0 {
			return nil, false
		}
		params = strings.FieldsFunc(s[1:end], func(r rune) bool { return r == ',' || strings.ContainsRune(" \t\r\n\v\f", r) })
		s = strings.TrimLeft(s[end+1:], " \t\r\n\v\f")
	}
	if !strings.HasPrefix(s, "=") || strings.HasPrefix(s, "==") || strings.HasPrefix(s, "=~") {
		return nil, false
	}
	return params, true
}

func wordLen(s string) int {
	n := 0
	for n < len(s) && (goesOn(s[n:]) || s[n] == ':' || s[n] == '.' || s[n] >= 0x80) {
		n++
	}
	return n
}

// replaceStrings blanks string literals and drops comments.
func replaceStrings(s string) string {
	return rewrite(s, func(string) string { return `""` }, func(rest string) (string, int) { return rest[:1], 1 })
}
