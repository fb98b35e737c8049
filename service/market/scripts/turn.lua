-- The order in which a game's events are applied, and the pools that they may decide.

-- Whether an event is the first of those of its game that are not applied; true for '', which is no event.
local function has_its_turn(game, event)
    return event == '' or redis.call('ZRANGE', KEY_APPLY .. game, 0, 0)[1] == event
end

-- Does a command of sets for a pool with those of its game that an event of a kind may decide.
local function index(command, game, pool, decided_by, lapses)
    for _, what in ipairs({ decided_by or '', lapses or '' }) do
        if what ~= '' then
            redis.call(command, KEY_UNDECIDED .. game .. ':' .. cjson.decode(what).event, pool)
        end
    end
end
