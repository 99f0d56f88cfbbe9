using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace Regatta.Node;

/// <summary>
/// Adds up what the engine counts in the meter <c>Regatta</c>, and writes it in Prometheus' text format: counters as they are, histograms as sum
/// and count. The meter is the process's: where several nodes share one, each shows the sum of all. Thread-safe.
/// </summary>
internal sealed class EngineMetrics : IDisposable
{
    private const string MeterName = "Regatta";

    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<string, Total> _totals = new(StringComparer.Ordinal);

    public EngineMetrics()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == MeterName)
                listener.EnableMeasurementEvents(instrument, _totals.GetOrAdd(instrument.Name, _ => new Total(instrument)));
        };
        _listener.SetMeasurementEventCallback<long>(static (_, value, _, total) => ((Total)total!).Add(value));
        _listener.SetMeasurementEventCallback<double>(static (_, value, _, total) => ((Total)total!).Add(value));
        _listener.Start();
    }

    public void Write(StringBuilder text)
    {
        foreach (Total total in _totals.Values.OrderBy(total => total.Name, StringComparer.Ordinal))
            total.Write(text);
    }

    public void Dispose() => _listener.Dispose();

    private sealed class Total(Instrument instrument)
    {
        private readonly Lock _gate = new();
        private readonly string _help = instrument.Description ?? "";
        private readonly bool _isCounter = instrument is Counter<long>;
        private double _sum;
        private long _count;

        public string Name { get; } = instrument.Name.Replace('.', '_');

        public void Add(double value)
        {
            lock (_gate)
            {
                _sum += value;
                _count++;
            }
        }

        public void Write(StringBuilder text)
        {
            double sum;
            long count;
            lock (_gate)
                (sum, count) = (_sum, _count);
            if (_isCounter)
            {
                PrometheusText.Header(text, Name + "_total", "counter", _help);
                text.Append(CultureInfo.InvariantCulture, $"{Name}_total {sum}\n");
                return;
            }
            PrometheusText.Header(text, Name, "summary", _help);
            text.Append(CultureInfo.InvariantCulture, $"{Name}_sum {sum}\n{Name}_count {count}\n");
        }
    }
}
