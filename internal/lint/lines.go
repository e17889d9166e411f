package lint

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// mergeDepth bounds how many maps may be merged into one another with "<<". More than a few are not written by hand, and
// a map that is merged into itself has no end.
const mergeDepth = 8

// tree is a YAML document with its lines.
type tree struct {
	root  *yaml.Node // nil when the document is no YAML
	first int        // line of the document's first line in its file, from 1
}

// newTree reads a document that begins at line first of its file. A document that is no YAML gives a tree whose every
// field is at that line.
func newTree(data []byte, first int) tree {
	var node yaml.Node
	if err := yaml.Unmarshal(data, &node); err != nil || node.Kind != yaml.DocumentNode || len(node.Content) == 0 {
		return tree{first: first}
	}
	return tree{root: node.Content[0], first: first}
}

// find follows a path as far as the document has it. It gives the line of the last part that is there, and the node of
// the whole path, nil when that is not there.
func (t tree) find(path string) (line int, node *yaml.Node) {
	if t.root == nil {
		return t.first, nil
	}
	node, line = t.root, t.root.Line
	for _, part := range splitPath(path) {
		at, next := child(node, part, mergeDepth)
		if next == nil {
			return t.first + line - 1, nil
		}
		line, node = at, next
	}
	return t.first + line - 1, node
}

// line is where a path is written, or else the nearest field around it.
func (t tree) line(path string) int {
	line, _ := t.find(path)
	return line
}

// has says whether a path is written.
func (t tree) has(path string) bool {
	_, node := t.find(path)
	return node != nil
}

// text is the scalar at a path as it is written, or "".
func (t tree) text(path string) string {
	_, node := t.find(path)
	if node = target(node); node == nil || node.Kind != yaml.ScalarNode || node.Tag == "!!null" {
		return ""
	}
	return node.Value
}

// decode reads what is at a path into out, which stays as it is when the path is not there.
func (t tree) decode(path string, out any) error {
	if _, node := t.find(path); node != nil {
		return node.Decode(out)
	}
	return nil
}

// splitPath cuts a field's path into its parts: spec.list[0].x has four, metadata.labels[a.b/c] three.
func splitPath(path string) []string {
	var parts []string
	for path != "" {
		if key, rest, ok := bracketed(path); ok {
			parts, path = append(parts, key), strings.TrimPrefix(rest, ".")
			continue
		}
		end := strings.IndexAny(path[1:], ".[") + 1
		if end == 0 {
			return append(parts, path)
		}
		parts, path = append(parts, path[:end]), strings.TrimPrefix(path[end:], ".")
	}
	return parts
}

// bracketed cuts a leading [key] off a path. A key may hold a bracket itself: it ends where a path can go on.
func bracketed(path string) (key, rest string, ok bool) {
	if path[0] != '[' {
		return "", "", false
	}
	for i := 1; i < len(path); i++ {
		if path[i] == ']' && (i+1 == len(path) || path[i+1] == '.' || path[i+1] == '[') {
			return path[1:i], path[i+1:], true
		}
	}
	return "", "", false
}

// target is the node that an alias stands for, or the node itself.
func target(node *yaml.Node) *yaml.Node {
	if node != nil && node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// child finds one part of a path below a node.
func child(node *yaml.Node, part string, depth int) (line int, found *yaml.Node) {
	switch node = target(node); {
	case node == nil || depth == 0:
	case node.Kind == yaml.MappingNode:
		return entry(node, part, depth)
	case node.Kind == yaml.SequenceNode:
		if i, err := strconv.Atoi(part); err == nil {
			if i >= 0 && i < len(node.Content) {
				return node.Content[i].Line, node.Content[i]
			}
			return 0, nil
		}
		return unindexed(node, part, depth)
	}
	return 0, nil
}

// entry finds a key of a map, at first among its own.
func entry(node *yaml.Node, key string, depth int) (line int, found *yaml.Node) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i].Line, node.Content[i+1]
		}
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Tag != "!!merge" {
			continue
		}
		merged := target(node.Content[i+1])
		if merged != nil && merged.Kind == yaml.SequenceNode {
			for _, one := range merged.Content {
				if line, found = child(one, key, depth-1); found != nil {
					return line, found
				}
			}
			continue
		}
		if line, found = child(merged, key, depth-1); found != nil {
			return line, found
		}
	}
	return 0, nil
}

// unindexed finds a key in the items of a list. An error of the JSON decoder leaves out in which item it was; since
// what it complains of is most often a number where a string must be, an item with anything but a string comes first.
func unindexed(list *yaml.Node, key string, depth int) (line int, found *yaml.Node) {
	for _, item := range list.Content {
		item = target(item)
		if item == nil || item.Kind != yaml.MappingNode {
			continue
		}
		at, value := entry(item, key, depth-1)
		if value == nil {
			continue
		}
		if value.Tag != "!!str" {
			return at, value
		}
		if found == nil {
			line, found = at, value
		}
	}
	return line, found
}
