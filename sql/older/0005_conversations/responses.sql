SELECT * EXCLUDE (content), [{
    'role': 'assistant',
    'content': list_transform(content, lambda piece: {
        'type': piece."type", 'text': piece."text", 'uri': piece.uri, 'sha256': piece.sha256, 'mime_type': NULL::VARCHAR
    }),
    'reasoning': NULL::VARCHAR,
    'tool_calls': []::STRUCT(id VARCHAR, "name" VARCHAR, arguments VARCHAR)[],
    'tool_call_id': NULL::VARCHAR, 'name': NULL::VARCHAR, 'is_target': NULL::BOOLEAN
}] AS messages
FROM before
