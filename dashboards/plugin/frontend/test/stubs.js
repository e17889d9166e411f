// Grafana's libraries as far as module.js uses them, for node and for a browser. The components are plain HTML elements that hand on
// the same properties; what they do is React's, which is real.
globalThis.flyballStubs = function (React) {
  const h = React.createElement;
  const calls = { resources: [], resource: async () => [], variables: {} };

  class DataSourcePlugin {
    constructor(DataSourceClass) {
      this.DataSourceClass = DataSourceClass;
      this.components = {};
    }
    setConfigEditor(c) {
      this.components.ConfigEditor = c;
      return this;
    }
    setQueryEditor(c) {
      this.components.QueryEditor = c;
      return this;
    }
  }

  class DataSourceWithBackend {
    constructor(settings) {
      this.uid = settings.uid;
    }
    getResource(path, params) {
      calls.resources.push([path, params]);
      return calls.resource(path, params);
    }
  }

  // As Grafana: an array is joined for csv, and a variable that is not known stays as it is written.
  const getTemplateSrv = () => ({
    replace: (text, scopedVars, format) =>
      text && text.replace(/\$\{(\w+)\}|\$(\w+)/g, (all, a, b) => {
        const scoped = scopedVars && scopedVars[a || b];
        const value = scoped ? scoped.value : calls.variables[a || b];
        if (value === undefined) {
          return all;
        }
        return Array.isArray(value) ? (format === 'csv' ? value.join(',') : '{' + value.join(',') + '}') : value;
      }),
  });

  const ui = {
    InlineFieldRow: ({ children }) => h('div', null, children),
    InlineField: ({ label, children }) => h('label', null, label, children),
    Button: ({ children, onClick, ...more }) => h('button', { onClick, 'aria-label': more['aria-label'] }, children),
    Input: ({ width, ...more }) => h('input', more),
    Select: ({ options, value, onChange, placeholder, isClearable, ...more }) => {
      const chosen = value && typeof value === 'object' ? value.value : value;
      const shown = chosen && !options.some((o) => o.value === chosen) ? [...options, { value: chosen, label: chosen }] : options;
      return h(
        'select',
        { 'aria-label': more['aria-label'], value: chosen || '', onChange: (e) => onChange(shown.find((o) => o.value === e.target.value) || null) },
        h('option', { value: '' }, placeholder),
        shown.map((o) => h('option', { key: o.value, value: o.value }, o.label))
      );
    },
    DataSourceHttpSettings: ({ dataSourceConfig, defaultUrl, onChange }) =>
      h('input', { 'aria-label': 'URL', value: dataSourceConfig.url || '', placeholder: defaultUrl, onChange: (e) => onChange({ ...dataSourceConfig, url: e.target.value }) }),
  };

  return { calls, modules: { react: React, '@grafana/data': { DataSourcePlugin }, '@grafana/runtime': { DataSourceWithBackend, getTemplateSrv }, '@grafana/ui': ui } };
};

// flyballLoad evaluates an AMD module's source with the modules that it names.
globalThis.flyballLoad = function (source, modules) {
  let exported;
  const define = (names, factory) => {
    exported = factory(
      ...names.map((n) => {
        if (!modules[n]) {
          throw new Error('module.js asks for ' + n + ', which Grafana does not give');
        }
        return modules[n];
      })
    );
  };
  new Function('define', source)(define);
  return exported;
};
