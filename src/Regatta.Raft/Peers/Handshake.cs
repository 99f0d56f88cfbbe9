using System.Buffers;
using System.IO.Pipelines;
using System.Text;

namespace Regatta.Raft;

/// <summary>How a handshake ended.</summary>
/// <param name="Peer">The other side's words when both have accepted each other.</param>
/// <param name="NodeId">Who the other side is or says it is, as far as is known.</param>
/// <param name="Reason">Otherwise: a predicate to "the other side", such as "is refused: ...".</param>
internal sealed record HandshakeOutcome(Hello? Peer, long? NodeId, string Reason);

/// <summary>
/// The first words on a connection. Who dialled says hello; who listens answers with its own hello, which accepts, or with a refusal; who dialled accepts or
/// refuses that. A refusal is a sentence for the other side's log.
/// </summary>
internal sealed class Handshake(PeerNetworkOptions options, IDuplexPipe pipe)
{
    /// <summary>Of a hello, and of a sentence.</summary>
    private const int MaxBytes = 1024;

    /// <param name="expected">Who was dialled.</param>
    public async Task<HandshakeOutcome> DialAsync(long expected, CancellationToken cancellationToken)
    {
        await SayHelloAsync(expected, cancellationToken).ConfigureAwait(false);
        (Frame frame, byte[] body) = await ReadAsync(cancellationToken).ConfigureAwait(false);
        if (frame.Kind == FrameKind.Refused)
            return RefusedBy(expected, body);
        (Hello? peer, string? fault) = Understand(frame, body);
        fault ??= Objection(peer!);
        if (fault is null && peer!.NodeId != expected)
            fault = $"Node {expected} was dialled, but node {peer.NodeId} answers at that address.";
        if (fault is not null)
            return await RefuseAsync(expected, fault, cancellationToken).ConfigureAwait(false);
        await WriteAsync(FrameKind.Accepted, [], cancellationToken).ConfigureAwait(false);
        return new HandshakeOutcome(peer, expected, "");
    }

    public async Task<HandshakeOutcome> ListenAsync(CancellationToken cancellationToken)
    {
        (Frame frame, byte[] body) = await ReadAsync(cancellationToken).ConfigureAwait(false);
        (Hello? peer, string? fault) = Understand(frame, body);
        fault ??= Objection(peer!);
        if (fault is null && peer!.NodeId > options.NodeId)
            fault = $"Node {peer.NodeId} must not dial node {options.NodeId}: the one with the lower id dials.";
        if (fault is not null)
            return await RefuseAsync(peer?.NodeId, fault, cancellationToken).ConfigureAwait(false);
        await SayHelloAsync(peer!.NodeId, cancellationToken).ConfigureAwait(false);
        (frame, body) = await ReadAsync(cancellationToken).ConfigureAwait(false);
        return frame.Kind switch
        {
            FrameKind.Accepted => new HandshakeOutcome(peer, peer.NodeId, ""),
            FrameKind.Refused => RefusedBy(peer.NodeId, body),
            _ => new HandshakeOutcome(null, peer.NodeId, "neither accepted nor refused this node"),
        };
    }

    private static (Hello? Hello, string? Fault) Understand(Frame frame, byte[] body) =>
        Hello.Decode(frame is { Kind: FrameKind.Hello, HasMore: false } ? body : default);

    private static HandshakeOutcome RefusedBy(long nodeId, byte[] sentence) =>
        new(null, nodeId, "refuses this node: " + Encoding.UTF8.GetString(sentence));

    private static byte[] Sentence(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        return bytes.Length <= MaxBytes ? bytes : bytes[..MaxBytes];
    }

    private string? Objection(Hello peer)
    {
        if (peer.Site != options.SiteName)
            return $"One node belongs to the site '{peer.Site}', the other to '{options.SiteName}'.";
        if (peer.NodeId == options.NodeId || !options.Members.ContainsKey(peer.NodeId))
            return $"Node {peer.NodeId} is no other member of the site that node {options.NodeId} knows.";
        if (peer.Expected != options.NodeId)
            return $"Node {peer.Expected} is expected here, but this is node {options.NodeId}.";
        return peer.History is { } theirs && options.History() is { } ours && theirs != ours
            ? $"Node {peer.NodeId} has data of the history {theirs}, node {options.NodeId} of {ours}."
            : null;
    }

    /// <summary>Waits until the other side has closed: closing first could take the sentence away from it.</summary>
    private async Task<HandshakeOutcome> RefuseAsync(long? nodeId, string sentence, CancellationToken cancellationToken)
    {
        HandshakeOutcome outcome = new(null, nodeId, "is refused: " + sentence);
        try
        {
            await WriteAsync(FrameKind.Refused, Sentence(sentence), cancellationToken).ConfigureAwait(false);
            while (true)
            {
                ReadResult result = await pipe.Input.ReadAsync(cancellationToken).ConfigureAwait(false);
                pipe.Input.AdvanceTo(result.Buffer.End);
                if (result.IsCompleted)
                    return outcome;
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            return outcome;
        }
    }

    private ValueTask<FlushResult> SayHelloAsync(long expected, CancellationToken cancellationToken) =>
        WriteAsync(
            FrameKind.Hello,
            new Hello(options.SiteName, options.History(), options.NodeId, expected, options.StoreId).Encode(),
            cancellationToken);

    private ValueTask<FlushResult> WriteAsync(FrameKind kind, ReadOnlySpan<byte> body, CancellationToken cancellationToken)
    {
        Frame.Of(kind, body.Length).Write(pipe.Output, body);
        return pipe.Output.FlushAsync(cancellationToken);
    }

    /// <summary>Takes one frame and leaves in the pipe what comes after it.</summary>
    private async Task<(Frame Frame, byte[] Body)> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            ReadResult result = await pipe.Input.ReadAsync(cancellationToken).ConfigureAwait(false);
            if (TryTake(result.Buffer, out Frame frame, out byte[] body))
                return (frame, body);
            if (result.IsCompleted)
                throw new EndOfStreamException("it closed the connection");
        }
    }

    private bool TryTake(ReadOnlySequence<byte> buffer, out Frame frame, out byte[] body)
    {
        ReadOnlySequence<byte> rest = buffer;
        try
        {
            bool isWhole = Frame.TryRead(ref rest, MaxBytes, out frame, out ReadOnlySequence<byte> content);
            body = isWhole ? content.ToArray() : [];
            pipe.Input.AdvanceTo(rest.Start, isWhole ? rest.Start : rest.End);
            return isWhole;
        }
        catch (MalformedFrameException)
        {
            // No frame at all: a stranger, who gets the same answer as one whose first frame is no hello.
            pipe.Input.AdvanceTo(buffer.End);
            (frame, body) = (default, []);
            return true;
        }
    }
}
