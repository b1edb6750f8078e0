// Draws one shipped dashboard with Grafana's own panel components, asking a Prometheus what the dashboard's JSON asks.
// The page's address says which: ?dashboard=fleet&prometheus=http://127.0.0.1:9090&now=1700000000 (seconds).
import { createRoot } from 'react-dom/client';
import { lastValueFrom } from 'rxjs';
import 'uplot/dist/uPlot.min.css';
import {
  applyFieldOverrides, cacheFieldDisplayNames, createDataFrame, createTheme, dateTime, FieldType, getDisplayValueAlignmentFactors,
  getFieldDisplayName, getFieldDisplayValues, rangeUtil, standardTransformers, standardTransformersRegistry, transformDataFrame,
} from '@grafana/data';
import * as ui from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

const [WIDTH, GAP, CELL] = [1400, 8, 30];
const PADDING = 8;
const asked = new URLSearchParams(location.search);
const now = Number(asked.get('now'));
const theme = createTheme({ colors: { mode: 'light' } });
const dashboard = await (await fetch(`${asked.get('dashboard')}.json`)).json();
const [, amount, unit] = dashboard.time.from.match(/^now-(\d+)([hd])$/);
const seconds = amount * { h: 3600, d: 86400 }[unit];
const timeRange = { from: dateTime((now - seconds) * 1000), to: dateTime(now * 1000), raw: dashboard.time };
const same = (text) => text;

standardTransformersRegistry.setInit(() =>
  [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer].map((one) => ({
    ...one, transformation: async () => one,
  })));

function timesOf(target, step) {
  const first = target.instant ? now : Math.ceil((now - seconds) / step) * step;
  return Array.from({ length: Math.floor((now - first) / step) + 1 }, (_, index) => first + index * step);
}

async function ask(target, step) {
  const rateInterval = Math.max(4 * 240, step + 240);
  const expression = target.expr
    .replaceAll('$__range', `${seconds}s`)
    .replaceAll('$__rate_interval', `${rateInterval}s`)
    .replaceAll(/\$(cluster|namespace|location|zone)\b/g, '.*');
  const [start] = timesOf(target, step);
  const when = target.instant ? { time: now } : { start, end: now, step };
  const query = new URLSearchParams({ query: expression, ...when });
  const answer = await fetch(`${asked.get('prometheus')}/api/v1/${target.instant ? 'query' : 'query_range'}?${query}`);
  return (await answer.json()).data.result.map(({ metric, value, values }) => ({ metric, values: values ?? [value] }));
}

function legend(format, metric) {
  return format?.replaceAll(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? '');
}

// Where Prometheus says nothing, or that there is no number, the line is broken.
function lines(target, result, times) {
  return result.map(({ metric, values }) => {
    const known = new Map(values.filter(([, text]) => text !== 'NaN').map(([at, text]) => [at, Number(text)]));
    const config = { displayNameFromDS: legend(target.legendFormat, metric) };
    return createDataFrame({
      refId: target.refId,
      fields: [
        { name: 'Time', type: FieldType.time, config: {}, values: times.map((at) => at * 1000) },
        { name: 'Value', type: FieldType.number, labels: metric, values: times.map((at) => known.get(at) ?? null), config },
      ],
    });
  });
}

function rows(target, result, several) {
  const labels = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const texts = labels.map((label) => ({
    name: label, type: FieldType.string, config: {}, values: result.map(({ metric }) => metric[label] ?? ''),
  }));
  const time = { name: 'Time', type: FieldType.time, config: {}, values: result.map(({ values }) => values[0][0] * 1000) };
  const name = several ? `Value #${target.refId}` : 'Value';
  const values = result.map((one) => Number(one.values[0][1]));
  return [createDataFrame({ refId: target.refId, fields: [time, ...texts, { name, type: FieldType.number, config: {}, values }] })];
}

// Grafana sets these by a registry of every panel's options, which is no part of its packages.
function configured(panel, frames) {
  const { defaults, overrides } = panel.fieldConfig;
  for (const frame of frames) {
    for (const field of frame.fields) {
      field.config = { ...structuredClone(defaults), ...field.config, custom: structuredClone(defaults.custom ?? {}) };
      if (field.type === FieldType.time) {
        delete field.config.unit;
      }
      field.config.displayName = field.config.displayName?.replaceAll(/\$\{__field\.labels\.(\w+)\}/g, (_, label) => field.labels?.[label] ?? '');
      for (const { matcher, properties } of overrides) {
        if ((matcher.id === 'byFrameRefID' ? frame.refId : getFieldDisplayName(field, frame, frames)) === matcher.options) {
          for (const { id, value } of properties) {
            const holder = id.startsWith('custom.') ? field.config.custom : field.config;
            holder[id.replace('custom.', '')] = value;
          }
        }
      }
    }
  }
  const configuredFrames = applyFieldOverrides({
    data: frames, fieldConfig: { defaults: {}, overrides: [] }, theme, replaceVariables: same, timeZone: 'utc',
  });
  cacheFieldDisplayNames(configuredFrames);
  return configuredFrames;
}

async function framesOf(panel, width) {
  const interval = rangeUtil.calculateInterval(timeRange, width, '15s').intervalMs / 1000;
  const parts = await Promise.all(panel.targets.map(async (target) => {
    const result = await ask(target, interval);
    return target.format === 'table' ? rows(target, result, panel.targets.length > 1) : lines(target, result, timesOf(target, interval));
  }));
  const frames = await lastValueFrom(transformDataFrame(panel.transformations ?? [], parts.flat(), { interpolate: same }));
  return configured(panel, frames);
}

function Values({ panel, frames, width, height, draw }) {
  const { reduceOptions, orientation = 'auto' } = panel.options;
  const getValues = () => getFieldDisplayValues({
    fieldConfig: panel.fieldConfig, reduceOptions, replaceVariables: same, theme, data: frames, timeZone: 'utc',
  });
  return (
    <ui.VizRepeater
      source={frames} getValues={getValues} renderCounter={0} width={width} height={height} itemSpacing={10} minVizHeight={16}
      orientation={orientation} getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, count, ...place }) => draw(count === 1 && !value.field.displayName ? { ...value, display: { ...value.display, title: '' } } : value, place)}
    />
  );
}

const drawn = {
  stat: ({ panel, ...rest }) => (
    <Values panel={panel} {...rest} draw={({ display }, { width, height }) => (
      <ui.BigValue
        value={display} width={width} height={height} theme={theme} colorMode={panel.options.colorMode}
        graphMode={panel.options.graphMode} textMode={panel.options.textMode} justifyMode="auto"
      />
    )} />
  ),
  bargauge: ({ panel, ...rest }) => (
    <Values panel={panel} {...rest} draw={(value, { width, height, orientation, alignmentFactors }) => (
      <ui.BarGauge
        value={value.display} width={width} height={height} theme={theme} field={value.field} orientation={orientation}
        display={value.view?.getFieldDisplayProcessor(value.colIndex)} alignmentFactors={alignmentFactors} itemSpacing={10}
        displayMode={panel.options.displayMode} namePlacement={panel.options.namePlacement}
        valueDisplayMode={panel.options.valueMode} showUnfilled={panel.options.showUnfilled}
      />
    )} />
  ),
  timeseries: ({ panel, frames, width, height }) => (
    <ui.TimeSeries
      frames={frames} width={width} height={height} timeRange={timeRange} timeZone="utc"
      legend={{ calcs: [], ...panel.options.legend }}
    />
  ),
  table: ({ panel, frames, width, height }) => (
    <TableNG
      data={frames[0]} width={width} height={height} initialSortBy={panel.options.sortBy} cellHeight={panel.options.cellHeight}
      noHeader={!panel.options.showHeader} enableSharedCrosshair={false} timeRange={timeRange} structureRev={1}
    />
  ),
};

function Panel({ panel, frames, place }) {
  const Drawn = drawn[panel.type];
  return (
    <div style={{ position: 'absolute', ...place }}>
      <ui.PanelChrome title={panel.title} description={panel.description} width={place.width} height={place.height}>
        {(width, height) => frames.length > 0 && frames.some((frame) => frame.length > 0)
          ? <Drawn panel={panel} frames={frames} width={width} height={height} />
          : <p style={{ textAlign: 'center' }}>{panel.fieldConfig.defaults.noValue ?? 'No data'}</p>}
      </ui.PanelChrome>
    </div>
  );
}

const column = (WIDTH - 2 * PADDING + GAP) / 24;
const placed = ({ x, y, w, h }) => ({
  left: x * column, top: y * (CELL + GAP), width: w * column - GAP, height: h * (CELL + GAP) - GAP,
});
const panels = await Promise.all(dashboard.panels.map(async (panel) => {
  const place = placed(panel.gridPos);
  return { panel, place, frames: await framesOf(panel, place.width) };
}));
const variables = dashboard.templating.list.filter((variable) => variable.type === 'query');
createRoot(document.getElementById('dashboard')).render(
  <ui.ThemeContext.Provider value={theme}>
    <ui.GlobalStyles />
    <div style={{ padding: PADDING, background: theme.colors.background.canvas }}>
      <div style={{ display: 'flex', gap: 24, height: 36, alignItems: 'center', padding: '0 8px' }}>
        <b style={{ fontSize: 18 }}>{dashboard.title}</b>
        {variables.map((variable) => <span key={variable.name}>{variable.label}: <b>All</b></span>)}
        <span style={{ marginLeft: 'auto' }}>Last {amount} {{ h: 'hours', d: 'days' }[unit]}, UTC</span>
      </div>
      <div style={{ position: 'relative' }}>
        {panels.map((one) => <Panel key={one.panel.id} {...one} />)}
      </div>
    </div>
  </ui.ThemeContext.Provider>,
);
