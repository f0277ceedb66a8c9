/* How many instances are in which state: kept as they change, so that nobody has to look through
 * all of them to know. The loop's own; the board shows it.
 *
 * Counted is what an instance would be called if its node answered (instance_state()); that one of
 * a silent node is "unknown" whoever reads the board finds out from the node's status. */
#include "panel/fleet/state.h"

#define LOOPING_FAILURES 3

static enum instance_state state_of(const struct fleet_instance *inst)
{
    bool kept_down = inst->down && !inst->suspended && inst->power == POWER_ON;
    return instance_state(inst->phase, inst->suspended, kept_down ? POWER_OFF : inst->power,
                          inst->observed, inst->error != NULL, NODE_ONLINE);
}

static void change(struct fleet_instance *inst, int by)
{
    struct board_counts *counts = &inst->node->counts;
    counts->states[inst->counted_state] += (uint32_t)by;
    counts->phases[inst->counted_phase] += (uint32_t)by;
    counts->crash_looping += inst->counted_looping ? (uint32_t)by : 0;
}

void count_instance(struct fleet_instance *inst)
{
    enum instance_state state = state_of(inst);
    bool looping = inst->phase == PHASE_READY && !inst->down && inst->failures >= LOOPING_FAILURES;
    if (inst->orphan || (inst->counted && inst->counted_state == state &&
                         inst->counted_phase == inst->phase && inst->counted_looping == looping))
        return;
    if (inst->counted)
        change(inst, -1);
    inst->counted = true;
    inst->counted_state = (uint8_t)state;
    inst->counted_phase = (uint8_t)inst->phase;
    inst->counted_looping = looping;
    change(inst, 1);
    board_put_counts(inst->fleet->board, inst->node->id, &inst->node->counts);
}

void count_instance_gone(struct fleet_instance *inst)
{
    if (!inst->counted)
        return;
    change(inst, -1);
    inst->counted = false;
    board_put_counts(inst->fleet->board, inst->node->id, &inst->node->counts);
}
