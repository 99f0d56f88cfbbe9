using Regatta.Core;

namespace Regatta.Storage;

/// <summary>A state that is replaced as a whole, so that readers on other threads never see half of one.</summary>
internal sealed class PublishedState(in AppliedState state)
{
    internal AppliedState State { get; } = state;
}
