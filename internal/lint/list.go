package lint

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// anyList is the kind of the list that kubectl get prints.
const anyList = "List"

// listed says that the object only holds others.
func (o *object) listed() bool {
	return o.kind == anyList || strings.HasSuffix(o.kind, anyList) && o.has("items")
}

// alreadySet is what the YAML library says of each key that is there twice.
var alreadySet = regexp.MustCompile(`line (\d+): (key "[^"]*" already set in map)`)

// unwrap reads the items of a list as if each were a document of its own.
func (c *checker) unwrap(o *object) {
	var list struct {
		Items []any `json:"items"`
	}
	err := yaml.Unmarshal(o.data, &list, numbers)
	_, node := o.find("items")
	if node = target(node); err != nil || node == nil || len(node.Content) != len(list.Items) {
		c.say(o, Error, "items", "must be a list of objects")
		return
	}
	if len(list.Items) == 0 {
		c.say(o, Warning, "items", "has no objects, so nothing is checked")
	}
	items := make([]*object, len(list.Items))
	for i, item := range list.Items {
		items[i] = o.item(item, target(node.Content[i]))
	}
	c.twice(o, items)
	for _, item := range items {
		c.read(item)
	}
}

// numbers keeps them as they are written.
func numbers(d *json.Decoder) *json.Decoder {
	d.UseNumber()
	return d
}

// item is an object of the list.
func (o *object) item(content any, node *yamlv3.Node) *object {
	item := &object{document: o.document, tree: tree{root: node, first: o.tree.first}}
	item.identify()
	if fields, ok := content.(map[string]any); ok && item.kind == "" && o.kind != anyList {
		item.apiVersion, item.kind = o.apiVersion, strings.TrimSuffix(o.kind, anyList) // they may be left to the list's own
		fields["apiVersion"], fields["kind"] = item.apiVersion, item.kind
	}
	data, err := json.Marshal(content)
	if err != nil {
		panic("BUG: what was read from JSON is none: " + err.Error())
	}
	item.data = data
	return item
}

// twice finds the keys that an autoscaler of a list has twice. They are not in what the item is read from.
func (c *checker) twice(o *object, items []*object) {
	_, err := yaml.YAMLToJSONStrict(o.data)
	if err == nil {
		return
	}
	for _, m := range alreadySet.FindAllStringSubmatch(err.Error(), -1) {
		line, err := strconv.Atoi(m[1])
		var of *object
		for _, item := range items {
			if item.root != nil && item.root.Line <= line {
				of = item
			}
		}
		if err == nil && of != nil && of.autoscaler() {
			of.refused = true
			c.findings = append(c.findings, Finding{File: o.file, Line: o.inFile(m[1]), Object: of.id(), Severity: Error, Text: m[2]})
		}
	}
}
