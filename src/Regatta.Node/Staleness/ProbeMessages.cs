using Google.Protobuf;
using Regatta.Core;
using Regatta.Protocol.Replication;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>Sightings as they travel: by age, since clocks of different machines are not compared.</summary>
internal sealed class ProbeMessages(ServedTables tables, Guid history, TimeProvider time)
{
    private const long MicrosecondsPerSecond = 1_000_000;

    // What is older says nothing that anybody asks for; and more would not fit.
    private const ulong OldestMicroseconds = 365UL * 24 * 3600 * MicrosecondsPerSecond;

    private readonly ByteString _history = ByteString.CopyFrom(history.ToByteArray(bigEndian: true));

    /// <summary>All that this node knows.</summary>
    /// <param name="received">A time stamp from when the question had come: whoever asked counts from when it was sent, which was before.</param>
    public ProbeResponse Known(long received)
    {
        List<(ServedTable, Sighting)> known = [];
        foreach (ServedTable table in tables.Snapshot.Tables)
        {
            if (table.Fresh.Latest is { } latest)
                known.Add((table, latest));
        }

        return Of(known, received);
    }

    /// <inheritdoc cref="Known"/>
    public ProbeResponse Of(IReadOnlyList<(ServedTable Table, Sighting Sighting)> known, long received)
    {
        ProbeResponse reply = new() { HistoryId = _history };
        foreach ((ServedTable table, Sighting sighting) in known)
            reply.Tables.Add(Row(table, sighting, received));
        return reply;
    }

    /// <summary>Takes another node's answer in; of tables that are not here nothing is kept.</summary>
    /// <param name="asked">A time stamp from before the question was sent.</param>
    /// <exception cref="IOException">The answer is malformed, or is of another history.</exception>
    public void Take(ProbeResponse reply, long asked)
    {
#if DEBUG
        if (DebugBugs.Current == DebugBug.StalenessBoundTooLow)
            asked = time.GetTimestamp();
#endif
        if (reply.HistoryId != _history)
            throw new IOException("it has another history than this node");
        Dictionary<long, ServedTable> here = tables.Snapshot.Tables.ToDictionary(static table => table.Incarnation.Number);
        foreach (ProbedTable row in reply.Tables)
        {
            if (row.AgeUs > OldestMicroseconds || row.Revision > long.MaxValue || !here.TryGetValue((long)row.Incarnation, out ServedTable? table))
                continue;
            // Rounded away from the present.
            long age = row.AgeUs == 0 ? 0 : (long)(row.AgeUs * ((double)time.TimestampFrequency / MicrosecondsPerSecond)) + 1;
            Tell(table, new Sighting((long)row.Revision, new ChainHash(Replies.HashOf(row.ChainHash)), asked - age));
        }
    }

    private static void Tell(ServedTable table, in Sighting sighting)
    {
        try
        {
            table.Fresh.Saw(sighting);
        }
        catch (ObjectDisposedException)
        {
            // It is being deleted, or made anew: the others are not the worse for it.
        }
    }

    private ProbedTable Row(ServedTable table, in Sighting sighting, long received) => new()
    {
        Incarnation = (ulong)table.Incarnation.Number,
        Revision = (ulong)sighting.Revision,
        ChainHash = Replies.Hash(sighting.Chain.Value),
        AgeUs = sighting.Moment >= received ? 0 : (ulong)(time.GetElapsedTime(sighting.Moment, received).Ticks / TimeSpan.TicksPerMicrosecond) + 1,
    };
}
