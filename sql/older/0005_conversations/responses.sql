SELECT * EXCLUDE (content), [{
    'role': 'assistant',
    'content': list_transform(content, lambda part: {
        'type': part."type", 'text': part."text", 'uri': part.uri, 'sha256': part.sha256, 'mime_type': NULL::VARCHAR
    }),
    'reasoning': NULL::VARCHAR,
    'tool_calls': []::STRUCT(id VARCHAR, "name" VARCHAR, arguments VARCHAR)[],
    'tool_call_id': NULL::VARCHAR, 'name': NULL::VARCHAR, 'is_target': NULL::BOOLEAN
}] AS messages
FROM before
