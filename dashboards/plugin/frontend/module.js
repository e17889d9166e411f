// The frontend of flyball-datasource, an AMD module written by hand: React and Grafana's libraries are given by Grafana, and
// there is nothing to build. It keeps to what React 18 and 19 and Grafana 11.6 to 13 have in common.
define(['react', '@grafana/data', '@grafana/runtime', '@grafana/ui'], function (react, data, runtime, ui) {
  'use strict';

  const React = react.default || react;
  const h = React.createElement;

  // What each query type shows, and which fields it has besides namespace and name. The backend refuses a field that does not belong.
  const TYPES = [
    { value: 'autoscalers', label: 'Autoscalers', description: 'How each stands now: a table', fields: [] },
    { value: 'replicas', label: 'Replicas', description: 'The count that was wanted over time', fields: [] },
    { value: 'decisions', label: 'Decisions', description: 'Each decision of the range, with its reason: a table', fields: ['limit'] },
    { value: 'live', label: 'Live', description: 'Each decision as it is recorded: a table that grows', fields: [] },
    { value: 'explanation', label: 'Explanation', description: 'Why one has the count it has, at the end of the range', fields: [], one: true },
    { value: 'annotations', label: 'Scale events', description: 'Changes of the count, as annotations', fields: [] },
    { value: 'whatif', label: 'What if', description: 'The range again with other settings: as it was and as it would have been', fields: ['changes'], one: true },
  ];
  const typeOf = (query) => TYPES.find((t) => t.value === query.queryType);

  // ofType gives the query with another type, without the fields that only the old one has.
  function ofType(query, queryType) {
    const keeps = typeOf({ queryType }).fields;
    const next = { ...query, queryType };
    for (const field of TYPES.flatMap((t) => t.fields)) {
      if (!keeps.includes(field)) {
        delete next[field];
      }
    }
    return next;
  }

  // without gives the object without what is empty, and nothing when all of it is: an empty field changes nothing.
  function without(object) {
    const full = Object.entries(object).filter(([, v]) => v !== undefined && v !== '' && !(Array.isArray(v) && v.length === 0));
    return full.length === 0 ? undefined : Object.fromEntries(full);
  }

  // listOf reads a variable's query: namespaces, autoscalers(namespace), sources(namespace, name).
  function listOf(text) {
    const m = /^\s*(namespaces|autoscalers|sources)\s*(?:\(([^()]*)\))?\s*$/.exec(text);
    const args = m && m[2] ? m[2].split(';').map((s) => s.trim()) : [];
    if (!m || args.length > { namespaces: 0, autoscalers: 1, sources: 2 }[m[1]]) {
      throw new Error(`flyball: ${JSON.stringify(text)} is no variable query; write namespaces, autoscalers, autoscalers(NAMESPACE), or sources(NAMESPACE; NAME)`);
    }
    return { path: m[1], params: without({ namespace: args[0], name: args[1] }) || {} };
  }

  class DataSource extends runtime.DataSourceWithBackend {
    constructor(settings) {
      super(settings);
      // Grafana's own annotation editor shows the query editor below.
      this.annotations = { getDefaultQuery: () => ({ queryType: 'annotations', namespace: '', name: '' }) };
    }

    getDefaultQuery() {
      return { queryType: 'autoscalers', namespace: '', name: '' };
    }

    // A query that is not finished is not sent.
    filterQuery(query) {
      const type = typeOf(query);
      const targets = (query.changes && query.changes.targets) || [];
      return !query.hide && Boolean(type) && (!type.one || Boolean(query.namespace && query.name)) && targets.every((t) => t.source && t.target > 0);
    }

    // A variable with several values becomes a list with commas, which the backend reads.
    applyTemplateVariables(query, scopedVars) {
      const fill = (text) => (typeof text === 'string' ? runtime.getTemplateSrv().replace(text, scopedVars, 'csv') : text);
      const next = { ...query, namespace: fill(query.namespace), name: fill(query.name) };
      if (query.changes) {
        next.changes = { ...query.changes };
        for (const field of ['scaleUpDelay', 'scaleDownDelay']) {
          if (next.changes[field] !== undefined) {
            next.changes[field] = fill(next.changes[field]);
          }
        }
        if (next.changes.targets) {
          next.changes.targets = next.changes.targets.map((t) => ({ ...t, source: fill(t.source) }));
        }
      }
      return next;
    }

    getQueryDisplayText(query) {
      const type = typeOf(query);
      const whose = [query.namespace, query.name].filter(Boolean).join('/');
      return (type ? type.label : String(query.queryType)) + (whose ? ' of ' + whose : '');
    }

    async metricFindQuery(query, options) {
      const text = typeof query === 'string' ? query : (query && query.query) || '';
      const { path, params } = listOf(runtime.getTemplateSrv().replace(text, options && options.scopedVars, 'csv'));
      const names = await this.getResource(path, params);
      return names.map((name) => ({ text: name, value: name }));
    }
  }

  // useNames is a list of names from the backend. Without them the field still takes what is typed.
  function useNames(datasource, path, params) {
    const [names, setNames] = React.useState([]);
    const key = JSON.stringify(params);
    React.useEffect(() => {
      let current = true;
      datasource.getResource(path, params).then(
        (list) => current && setNames(list),
        () => current && setNames([])
      );
      return () => {
        current = false;
      };
    }, [datasource, path, key]);
    return names;
  }

  const field = (label, tooltip, control) => h(ui.InlineField, { label, tooltip, labelWidth: 18, key: label }, control);

  function Names({ label, value, names, placeholder, onChange }) {
    const options = names.map((n) => ({ label: n, value: n }));
    return h(ui.Select, {
      'aria-label': label, width: 32, options, placeholder,
      value: value ? { label: value, value } : null, isClearable: true, allowCustomValue: true,
      onChange: (o) => onChange(o ? o.value : ''),
    });
  }

  // Text is a field that is told of when it is left, so that a panel does not ask with every key.
  function Text({ label, value, placeholder, type, onChange }) {
    const shown = value === undefined || value === null ? '' : String(value);
    const [text, setText] = React.useState(shown);
    React.useEffect(() => setText(shown), [shown]);
    return h(ui.Input, {
      'aria-label': label, width: 16, type: type || 'text', value: text, placeholder,
      onChange: (e) => setText(e.currentTarget.value),
      onBlur: (e) => e.currentTarget.value !== shown && onChange(e.currentTarget.value),
    });
  }

  const number = (text) => (text.trim() === '' ? undefined : Number(text));

  function WhatIf({ query, change, datasource }) {
    const changes = query.changes || {};
    const targets = changes.targets || [];
    const sources = useNames(datasource, 'sources', { namespace: query.namespace || '', name: query.name || '' });
    const set = (more) => change({ changes: without({ ...changes, ...more }) });
    const setTarget = (i, more) => set({ targets: targets.map((t, j) => (j === i ? { ...t, ...more } : t)) });
    const count = (name, label, tooltip) =>
      field(label, tooltip, h(Text, { label, type: 'number', value: changes[name], placeholder: 'as it is', onChange: (v) => set({ [name]: number(v) }) }));
    const delay = (name, label, tooltip) =>
      field(label, tooltip, h(Text, { label, value: changes[name], placeholder: 'as it is', onChange: (v) => set({ [name]: v.trim() }) }));
    return h(
      React.Fragment,
      null,
      h(ui.InlineFieldRow, null,
        count('minReplicas', 'Min replicas', 'The least count. Schedules do not apply when either bound is given.'),
        count('maxReplicas', 'Max replicas', 'The greatest count.')),
      h(ui.InlineFieldRow, null,
        delay('scaleUpDelay', 'Scale-up delay', 'How long more must be asked for before it is done, such as 30s.'),
        delay('scaleDownDelay', 'Scale-down delay', 'How long fewer must be asked for before it is done, such as 5m.')),
      targets.map((t, i) =>
        h(ui.InlineFieldRow, { key: i },
          field('Source', 'One of the sources of the autoscaler.',
            h(Names, { label: 'Source', value: t.source, names: sources, placeholder: 'source', onChange: (source) => setTarget(i, { source }) })),
          field('Target', 'Above 0, in the unit of the source.',
            h(Text, { label: 'Target', type: 'number', value: t.target, placeholder: 'target', onChange: (v) => setTarget(i, { target: number(v) }) })),
          h(ui.Button, { variant: 'secondary', icon: 'trash-alt', 'aria-label': 'Remove target', onClick: () => set({ targets: targets.filter((_, j) => j !== i) }) }))),
      h(ui.Button, { variant: 'secondary', size: 'sm', icon: 'plus', onClick: () => set({ targets: [...targets, { source: '' }] }) }, 'Another target')
    );
  }

  function QueryEditor({ query, onChange, onRunQuery, datasource }) {
    const type = typeOf(query);
    const namespaces = useNames(datasource, 'namespaces', {});
    const autoscalers = useNames(datasource, 'autoscalers', query.namespace ? { namespace: query.namespace } : {});
    const send = (next) => {
      onChange(next);
      onRunQuery();
    };
    const change = (more) => {
      const next = { ...query, ...more };
      Object.keys(more).filter((k) => next[k] === undefined).forEach((k) => delete next[k]);
      send(next);
    };
    const all = type && type.one ? 'one is needed' : 'all';
    return h(
      'div',
      null,
      h(ui.InlineFieldRow, null,
        field('Show', 'What to ask flyball.',
          h(ui.Select, {
            'aria-label': 'Show', width: 32, options: TYPES.map(({ value, label, description }) => ({ value, label, description })),
            value: type ? type.value : null, placeholder: query.queryType ? 'unknown: ' + query.queryType : 'choose',
            onChange: (o) => send(ofType(query, o.value)),
          }))),
      h(ui.InlineFieldRow, null,
        field('Namespace', 'Names with commas between them, or a variable.',
          h(Names, { label: 'Namespace', value: query.namespace, names: namespaces, placeholder: all, onChange: (namespace) => change({ namespace }) })),
        field('Autoscaler', 'Names with commas between them, or a variable.',
          h(Names, { label: 'Autoscaler', value: query.name, names: autoscalers, placeholder: all, onChange: (name) => change({ name }) }))),
      type && type.fields.includes('limit') &&
        h(ui.InlineFieldRow, null,
          field('Limit', 'The most decisions of each autoscaler, the first of the range.',
            h(Text, { label: 'Limit', type: 'number', value: query.limit, placeholder: '10000', onChange: (v) => change({ limit: number(v) }) }))),
      type && type.fields.includes('changes') && h(WhatIf, { query, change, datasource })
    );
  }

  function ConfigEditor({ options, onOptionsChange }) {
    const pageUrl = (options.jsonData && options.jsonData.pageUrl) || '';
    const http = {
      defaultUrl: 'http://127.0.0.1:8090', dataSourceConfig: options, onChange: onOptionsChange,
      urlLabel: 'URL', urlDocs: "flyball's HTTP address (--listen), as Grafana's server reaches it", showAccessOptions: false,
    };
    return h(
      'div',
      null,
      h(ui.DataSourceHttpSettings, http),
      field("Page's URL", "Where browsers find flyball's page, for links; the URL above when empty.",
        h(Text, {
          label: "Page's URL", value: pageUrl, placeholder: options.url || http.defaultUrl,
          onChange: (v) => onOptionsChange({ ...options, jsonData: { ...options.jsonData, pageUrl: v.trim() } }),
        }))
    );
  }

  const plugin = new data.DataSourcePlugin(DataSource).setConfigEditor(ConfigEditor).setQueryEditor(QueryEditor);
  return { plugin };
});
