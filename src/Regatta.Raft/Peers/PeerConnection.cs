using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;

namespace Regatta.Raft;

/// <summary>A connection that both sides have accepted, until it breaks or is closed. Calls and <see cref="Close"/> may come from any thread.</summary>
internal sealed class PeerConnection : IDisposable
{
    private const int UnflushedBytes = 256 << 10;

    private readonly ConnectionContext _context;
    private readonly PeerNetworkOptions _options;
    private readonly TimeProvider _time;
    private readonly Outbox _outbox;
    private readonly Inbox _inbox;
    private readonly PeriodicTimer _listening;
    private readonly CancellationTokenSource _down = new();
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string? _reason;
    private long _heard;

    public PeerConnection(
        ConnectionContext context, Hello peer, PeerNetworkOptions options, IPeerHandler handler, ServedCalls served, PeerJournal journal, TimeProvider time)
    {
        (_context, Peer, _options, _time) = (context, peer, options, time);
        _heard = time.GetTimestamp();
        _listening = new PeriodicTimer(options.PingAfter, time);
        _outbox = new Outbox(peer.NodeId, options);
        _inbox = new Inbox(options, _outbox, new RequestServer(peer.NodeId, options, handler, _outbox, served, journal, _down.Token));
    }

    /// <summary>What the other side said of itself.</summary>
    public Hello Peer { get; }

    public Outbox Outbox => _outbox;

    /// <summary>How long ago the last bytes came.</summary>
    public TimeSpan Silence => _time.GetElapsedTime(Volatile.Read(ref _heard));

    /// <summary>Fails the calls that are under way, at once; the rest is <see cref="RunAsync"/>'s. The first reason counts.</summary>
    public void Close(string reason)
    {
        if (Interlocked.CompareExchange(ref _reason, reason, null) is not null)
            return;
        _outbox.Close(reason);
        _closed.TrySetResult();
    }

    /// <summary>Completes when the connection is down and nothing of it runs any more, but for the handlers of its requests: they are cancelled.</summary>
    /// <returns>Why it is down.</returns>
    public async Task<string> RunAsync(CancellationToken stopping)
    {
        await using CancellationTokenRegistration stop = stopping.UnsafeRegister(_ => Close("this node stops"), null);
        Task work = Task.WhenAll(WatchAsync(WriteAsync), WatchAsync(ReadAsync), WatchAsync(KeepAliveAsync));
        await _closed.Task.ConfigureAwait(false);
        await _down.CancelAsync().ConfigureAwait(false);
        _context.Abort();
        await work.ConfigureAwait(false);
        return _reason!;
    }

    public void Dispose()
    {
        _inbox.Dispose();
        _listening.Dispose();
        _down.Dispose();
    }

    /// <summary>The end of any of the loops, by whatever cause, ends the connection.</summary>
    private async Task WatchAsync(Func<Task<string>> loop)
    {
        try
        {
            Close(await Task.Run(loop).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (_down.IsCancellationRequested)
        {
            // Closed already.
        }
        catch (Exception e)
        {
            Close(e.Message);
        }
    }

    private async Task<string> WriteAsync()
    {
        PipeWriter output = _context.Transport.Output;
        long unflushed = 0;
        while (true)
        {
            bool hasWritten = _outbox.TryWrite(output, out int bytes, out Task ready);
            if (hasWritten)
            {
                unflushed += bytes;
                RaftMetrics.PeerFrames.Add(1);
                RaftMetrics.PeerBytes.Add(bytes);
            }

            if (unflushed > (hasWritten ? UnflushedBytes : 0))
            {
                unflushed = 0;
                RaftMetrics.PeerFlushes.Add(1);
                if ((await output.FlushAsync(_down.Token).ConfigureAwait(false)).IsCompleted)
                    return "the other side takes nothing any more";
            }
            else if (!hasWritten)
            {
                await ready.WaitAsync(_down.Token).ConfigureAwait(false);
            }
        }
    }

    private async Task<string> ReadAsync()
    {
        PipeReader input = _context.Transport.Input;
        while (true)
        {
            ReadResult result = await input.ReadAsync(_down.Token).ConfigureAwait(false);
            Volatile.Write(ref _heard, _time.GetTimestamp());
            ReadOnlySequence<byte> buffer = result.Buffer;
            while (Frame.TryRead(ref buffer, _options.FrameBytes, out Frame frame, out ReadOnlySequence<byte> body))
                _inbox.Take(frame, body);
            bool isCut = !buffer.IsEmpty;
            input.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted)
                return isCut ? "the connection ended in the middle of a frame" : "the other side closed the connection";
        }
    }

    private async Task<string> KeepAliveAsync()
    {
        while (true)
        {
            await _listening.WaitForNextTickAsync(_down.Token).ConfigureAwait(false);
            TimeSpan silence = Silence;
            if (silence >= _options.SilenceLimit)
                return $"nothing was heard for {silence.TotalSeconds:0.#} s";
            if (silence >= _options.PingAfter)
                _outbox.SignOfLife(FrameKind.Ping);
        }
    }
}
