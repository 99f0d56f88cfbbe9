using System.Runtime.InteropServices;

namespace Regatta.Cli;

/// <summary>
/// Ctrl-C and SIGTERM as a token. The first one asks the command to end; a Ctrl-C after that is left to the system, which ends the process at once.
/// </summary>
internal sealed class Interruption : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _registrations = [];

    public CancellationToken Token => _source.Token;

    public static Interruption Listen()
    {
        Interruption interruption = new();
        interruption._registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, interruption.OnSignal));
        interruption._registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, interruption.OnSignal));
        return interruption;
    }

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations)
            registration.Dispose();
        _source.Dispose();
    }

    private void OnSignal(PosixSignalContext context)
    {
        bool again = _source.IsCancellationRequested;
        context.Cancel = !(again && context.Signal == PosixSignal.SIGINT);
        if (!again)
            _source.Cancel();
    }
}
