// module.js in node, with the React of the folder REACT.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(path.join(process.env.REACT, 'node_modules', 'x.js'));
await import('./stubs.js');
const React = require('react');
const { renderToStaticMarkup } = require('react-dom/server');
const { calls, modules } = globalThis.flyballStubs(React);
const { plugin } = globalThis.flyballLoad(readFileSync(path.join(here, '..', 'module.js'), 'utf8'), modules);
const source = new plugin.DataSourceClass({ uid: 'x' });
const nothing = () => {};
const editor = (query) =>
  renderToStaticMarkup(React.createElement(plugin.components.QueryEditor, { query, onChange: nothing, onRunQuery: nothing, datasource: source }));

test('it is a plugin with a query editor, a config editor and annotations', () => {
  assert.ok(plugin.components.QueryEditor && plugin.components.ConfigEditor);
  assert.deepEqual(source.annotations.getDefaultQuery(), { queryType: 'annotations', namespace: '', name: '' });
  assert.deepEqual(source.getDefaultQuery(), { queryType: 'autoscalers', namespace: '', name: '' });
});

test('variables are filled in, several values as a list, and what the dashboard lacks stays to be complained of', () => {
  calls.variables = { ns: ['team-a', 'team-b'], delay: '5m' };
  const got = source.applyTemplateVariables(
    { refId: 'A', queryType: 'whatif', namespace: '$ns', name: '${name}', changes: { minReplicas: 2, scaleDownDelay: '$delay', targets: [{ source: '$src', target: 3 }] } },
    { name: { value: 'chat' } }
  );
  assert.deepEqual(got, {
    refId: 'A', queryType: 'whatif', namespace: 'team-a,team-b', name: 'chat',
    changes: { minReplicas: 2, scaleDownDelay: '5m', targets: [{ source: '$src', target: 3 }] },
  });
});

test('a query that is not finished or is hidden is not sent', () => {
  const sent = (q) => source.filterQuery(q);
  assert.equal(sent({ queryType: 'autoscalers' }), true);
  assert.equal(sent({ queryType: 'autoscalers', hide: true }), false);
  assert.equal(sent({}), false);
  assert.equal(sent({ queryType: 'explanation', namespace: 'team-a' }), false);
  assert.equal(sent({ queryType: 'explanation', namespace: 'team-a', name: 'chat' }), true);
  assert.equal(sent({ queryType: 'whatif', namespace: 'team-a', name: 'chat', changes: { targets: [{ source: '' }] } }), false);
  assert.equal(sent({ queryType: 'whatif', namespace: 'team-a', name: 'chat', changes: { targets: [{ source: 'queue', target: 4 }] } }), true);
});

test('a variable asks the backend for names', async () => {
  calls.variables = { ns: 'team-a' };
  calls.resources.length = 0;
  calls.resource = async () => ['chat', 'summarize'];
  assert.deepEqual(await source.metricFindQuery('autoscalers($ns)'), [{ text: 'chat', value: 'chat' }, { text: 'summarize', value: 'summarize' }]);
  await source.metricFindQuery('namespaces');
  await source.metricFindQuery({ query: 'sources(team-a; chat)' });
  assert.deepEqual(calls.resources, [['autoscalers', { namespace: 'team-a' }], ['namespaces', {}], ['sources', { namespace: 'team-a', name: 'chat' }]]);
  await assert.rejects(() => source.metricFindQuery('label_values(up)'), /no variable query; write namespaces, autoscalers/);
  await assert.rejects(() => source.metricFindQuery('namespaces(team-a)'), /no variable query/);
});

test('a collapsed query says what it shows', () => {
  assert.equal(source.getQueryDisplayText({ queryType: 'replicas', namespace: 'team-a', name: 'chat' }), 'Replicas of team-a/chat');
  assert.equal(source.getQueryDisplayText({ queryType: 'autoscalers' }), 'Autoscalers');
});

test('the query editor has the fields of the query type, and says so when it does not know the type', () => {
  const plain = editor({ queryType: 'autoscalers', namespace: 'team-z' });
  for (const s of ['Autoscalers', 'What if', 'team-z', 'aria-label="Namespace"', 'aria-label="Autoscaler"']) {
    assert.ok(plain.includes(s), s + ' in ' + plain);
  }
  assert.ok(!plain.includes('Limit') && !plain.includes('Min replicas'));
  assert.ok(editor({ queryType: 'decisions', limit: 7 }).includes('value="7"'));
  const whatif = editor({ queryType: 'whatif', changes: { maxReplicas: 0, scaleUpDelay: '30s', targets: [{ source: 'queue', target: 4 }] } });
  for (const s of ['Max replicas', 'value="0"', 'value="30s"', 'queue', 'value="4"', 'one is needed']) {
    assert.ok(whatif.includes(s), s + ' in ' + whatif);
  }
  assert.ok(editor({ queryType: 'promql' }).includes('unknown: promql'));
});

test('the config editor has the URL and the address of the page', () => {
  const html = renderToStaticMarkup(
    React.createElement(plugin.components.ConfigEditor, { options: { url: 'http://flyball:8090', jsonData: { pageUrl: 'https://fly.example' } }, onOptionsChange: nothing })
  );
  assert.ok(html.includes('value="http://flyball:8090"') && html.includes('value="https://fly.example"'), html);
});
