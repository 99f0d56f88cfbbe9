using System.Diagnostics;
using System.Globalization;
using System.Text;
using Regatta.Core;

namespace Regatta.Raft;

/// <summary>
/// What the groups of a node do, written down at the seams, so that it can be checked against the specification (spec/Regatta.Spec/RaftTrace.fs, which says what each event is there). Where there is none nothing is
/// spent but a look at a null. One line per event: <c>[time] [node] [number] [event] [group] [numbers]</c>; the time is the machine's monotonic clock in nanoseconds, by which what several processes wrote is put
/// in one order, and the number counts the lines of one life. A line is written, at once and whole, before other nodes can see what it tells of; only a table's readers
/// may be a moment ahead of it. When the process is killed the last line may be cut short. Thread-safe.
/// </summary>
/// <param name="members">Nodes of the site, this one included.</param>
/// <param name="output">Takes a line, its end included.</param>
internal sealed class GroupTrace(long node, int members, Stream output) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly StringBuilder _line = new();
    private long _number;
    private bool _ended;

    /// <summary>A file of its own for this life of the node.</summary>
    /// <exception cref="IOException">It cannot be made.</exception>
    public static GroupTrace Open(string directory, long node, int members)
    {
        Directory.CreateDirectory(directory);
        string name = string.Create(CultureInfo.InvariantCulture, $"node-{node}-{Stopwatch.GetTimestamp():D20}.trace");
        FileStream file = new(Path.Combine(directory, name), FileMode.CreateNew, FileAccess.Write, FileShare.Read, bufferSize: 0);
        return new GroupTrace(node, members, file);
    }

    /// <summary>The node's log is open, and so many rounds of it are on disk.</summary>
    public void Began(long rounds) => Write("began", members, rounds);

    /// <summary>A group's log is loaded; what of it is applied already is committed.</summary>
    public void Opened(long group, in HardState hard, long last, long lastTerm, long commit) =>
        Write("opened", group, hard.Term, NodeOf(hard), hard.CutIndex, hard.CutTerm, last, lastTerm, commit);

    /// <summary>Steps are queued for the round that is not taken yet. They are in the log from now on, and on disk with their round.</summary>
    public void Wrote(ReadOnlySpan<LogOp> ops)
    {
        lock (_gate)
        {
            Begin("wrote").Append(CultureInfo.InvariantCulture, $" {ops[0].Group}");
            foreach (ref readonly LogOp op in ops)
                Append(op);
            End();
        }
    }

    /// <summary>What is queued from now on belongs to the next round.</summary>
    public void Taken(long round) => Write("taken", round);

    public void Synced(long round) => Write("synced", round);

    /// <summary>The node has the votes of a majority.</summary>
    public void Won(long group, long term) => Write("won", group, term);

    /// <summary>The node is about to tell the leader of that term that it has the leader's log up to here on disk.</summary>
    public void Matched(long group, long term, long index) => Write("matched", group, term, index);

    /// <summary>The leader of that term has heard so.</summary>
    public void Counted(long group, long term, long member, long index) => Write("counted", group, term, member, index);

    public void Committed(long group, long index) => Write("committed", group, index);

    /// <param name="states">Revision and chain hash: first what the table is now, then what it was in between, as far as its changelog has it.</param>
    public void Applied(long group, long index, ReadOnlySpan<(long Revision, ChainHash Chain)> states)
    {
        lock (_gate)
        {
            Begin("applied").Append(CultureInfo.InvariantCulture, $" {group} {index}");
            foreach ((long revision, ChainHash chain) in states)
                _line.Append(CultureInfo.InvariantCulture, $" {revision} {chain}");
            End();
        }
    }

    /// <summary>What comes later is not written down any more.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _ended = true;
            output.Dispose();
        }
    }

    private static long NodeOf(in HardState hard) => hard.Vote is { } vote ? GroupMember.NodeOf(vote) : 0;

    private void Write(string what, params ReadOnlySpan<long> numbers)
    {
        lock (_gate)
        {
            Begin(what);
            foreach (long number in numbers)
                _line.Append(CultureInfo.InvariantCulture, $" {number}");
            End();
        }
    }

    private StringBuilder Begin(string what) =>
        _line.Clear().Append(CultureInfo.InvariantCulture, $"{Stopwatch.GetTimestamp()} {node} {++_number} {what}");

    private void Append(in LogOp op)
    {
        if (op.Record is null)
        {
            _line.Append(CultureInfo.InvariantCulture, $" delete {op.Index} {op.End - 1}");
        }
        else if (op.Index != LogKey.HardState)
        {
            _line.Append(CultureInfo.InvariantCulture, $" put {op.Index} {LogRecord.Term(op.Record)} {LogRecord.ChecksumOf(op.Record)}");
        }
        else
        {
            if (HardState.Decode(op.Record, op.Group, out HardState hard) is { } fault)
                throw new InvalidDataException($"Group {op.Group}: a record of term and vote is being written, and {fault}.");
            _line.Append(CultureInfo.InvariantCulture, $" hard {hard.Term} {NodeOf(hard)} {hard.CutIndex} {hard.CutTerm}");
        }
    }

    private void End()
    {
        if (_ended)
            return;
        try
        {
            output.Write(Encoding.ASCII.GetBytes(_line.Append('\n').ToString()));
        }
        catch (IOException)
        {
            // A node does not stop because nobody can write down what it does; its trace ends here.
            _ended = true;
        }
    }
}
