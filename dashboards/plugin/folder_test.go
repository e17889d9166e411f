package main

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// manifest is what Grafana reads of plugin.json. Its schema is public; what it asks of a data source is held here.
type manifest struct {
	Type, Name, ID, Category, Executable               string
	Backend, Metrics, Annotations, Alerting, Streaming bool
	Includes                                           []struct{ Type, Name, Path string }
	Info                                               struct {
		Description, Version, Updated string
		Author                        struct{ Name string }
		Keywords                      []string
		Logos                         struct{ Small, Large string }
		Links, Screenshots            []any
	}
	Dependencies struct {
		GrafanaDependency string
		Plugins           []any
	}
}

func readManifest(t *testing.T) manifest {
	t.Helper()
	b, err := os.ReadFile("frontend/plugin.json")
	require.NoError(t, err)
	var m manifest
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&m), "a key that the schema does not have, or that no test here knows")
	return m
}

func TestPluginJSONIsWhatGrafanaAsksOfABackendDataSource(t *testing.T) {
	m := readManifest(t)
	require.Regexp(t, `^[0-9a-z]+-([0-9a-z]+-)?(app|panel|datasource|secretsmanager|renderer)$`, m.ID)
	require.Equal(t, "datasource", m.Type)
	require.NotEmpty(t, m.Name)
	require.Contains(t, []string{"tsdb", "logging", "cloud", "tracing", "profiling", "sql", "enterprise", "iot", "other"}, m.Category)
	require.True(t, m.Backend && m.Metrics && m.Annotations)
	require.True(t, m.Alerting, "replicas are series, so a rule can be made of them")
	require.True(t, m.Streaming, "live is a stream")
	require.Regexp(t, `^gpx_[a-z_]+$`, m.Executable)
	require.NotEmpty(t, m.Info.Description)
	require.NotEmpty(t, m.Info.Author.Name)
	require.NotEmpty(t, m.Info.Keywords)
	require.Regexp(t, `^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$`, m.Info.Version)
	_, err := time.Parse(time.DateOnly, m.Info.Updated)
	require.NoError(t, err)
	require.Regexp(t, `^(<=|>=|>|<|=|~|\^)?\d+\.(\d+|x|\*)\.(\d+|x|\*)$`, m.Dependencies.GrafanaDependency)
	for _, logo := range []string{m.Info.Logos.Small, m.Info.Logos.Large} {
		b, err := os.ReadFile(filepath.Join("frontend", logo))
		require.NoError(t, err)
		require.NoError(t, xml.Unmarshal(b, new(struct {
			XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
		})))
	}
	log, err := os.ReadFile("CHANGELOG.md")
	require.NoError(t, err)
	require.Contains(t, string(log), "## "+m.Info.Version)
}

// complete holds an assembled folder against what Grafana looks for in it.
func complete(t *testing.T, dir string) {
	m := readManifest(t)
	files := []string{"plugin.json", "module.js", "README.md", "CHANGELOG.md", "LICENSE", m.Info.Logos.Small}
	for _, include := range m.Includes {
		files = append(files, include.Path)
	}
	for _, name := range files {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NotZero(t, info.Size(), name)
	}
	programs, err := filepath.Glob(filepath.Join(dir, m.Executable+"_*"))
	require.NoError(t, err)
	require.Len(t, programs, 1)
	info, err := os.Stat(programs[0])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o111), info.Mode().Perm()&0o111, "it can be run")
	tests, err := filepath.Glob(filepath.Join(dir, "test*"))
	require.NoError(t, err)
	require.Empty(t, tests, "tests are not shipped")
}

func TestTheProvisioningFileNamesThisPlugin(t *testing.T) {
	b, err := os.ReadFile("provisioning/datasources/flyball.yaml")
	require.NoError(t, err)
	var file struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			IsDefault                    bool              `yaml:"isDefault"`
			Editable                     bool              `yaml:"editable"`
			JSONData                     map[string]string `yaml:"jsonData"`
		}
	}
	dec := yaml.NewDecoder(strings.NewReader(string(b)))
	dec.KnownFields(true)
	require.NoError(t, dec.Decode(&file))
	require.Equal(t, 1, file.APIVersion)
	require.Len(t, file.Datasources, 1)
	d := file.Datasources[0]
	require.Equal(t, readManifest(t).ID, d.Type)
	require.Equal(t, "proxy", d.Access)
	require.NotEmpty(t, d.URL)
	require.NotEmpty(t, d.UID)
	require.Contains(t, d.JSONData, "pageUrl")
}
